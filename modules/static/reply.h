/* reply.h: answers that succeed: a file, whole or in part, or that it has not changed. */
#ifndef REPLY_H
#define REPLY_H

#include <sys/stat.h>

#include "site.h"
#include "syncless.h"

/* Answer with a line of text, and the fields set so far. For statuses that need some. */
int reply_text(struct sl_request *req, int status, const char *text);

/* Add the fields that every answer of the site has. */
void reply_add_fields(const struct site *site, struct sl_request *req);

/* Answer a GET or HEAD with the regular file that is open as fd, which is closed. path, relative to the root, names it:
 * for its type and for compressed files beside it. Returns what handle() shall return. */
int reply_file(struct site *site, struct sl_request *req, const char *path, int fd, const struct stat *st);

#endif
