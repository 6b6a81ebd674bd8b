/* line.h: the first line of a request. */
#ifndef HTTP_LINE_H
#define HTTP_LINE_H

#include "http/request/request.h"

/* Parse METHOD SP target SP HTTP/1.x CRLF at the beginning of a whole head. Sets method, target and version, which are
 * terminated in place, and http_minor, and *next to the beginning of the next line. Returns 0, or the status to refuse
 * the request with and *why; then what was read is set. */
int line_parse(struct request *req, char *head, char **next, const char **why);

/* Set what size bytes at the beginning of an incomplete head tell, for the log: it will not be complete. They are
 * changed in place. */
void line_note(struct request *req, char *head, size_t size);

#endif
