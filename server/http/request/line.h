/* line.h: the first line of a request. */
#ifndef HTTP_LINE_H
#define HTTP_LINE_H

#include "http/request/request.h"

/* Parse METHOD SP target SP HTTP/1.x CRLF at the beginning of a whole head, and set method, target and http_minor; the
 * target's end is marked in place. Returns 0 and where the next line begins, or the status to refuse it with and why.
 */
int line_parse(struct request *req, char *head, char **next, const char **why);

#endif
