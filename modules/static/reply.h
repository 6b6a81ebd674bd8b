/* reply.h: answers with a file, whole or in part, or says that it has not changed. */
#ifndef REPLY_H
#define REPLY_H

#include <sys/stat.h>

#include "site.h"
#include "syncless.h"

/* Answer with a line of text. The fields set so far stay, unlike in the page for a status that handle returns. */
int reply_text(struct sl_request *req, int status, const char *text);

/* Add the response fields of the configuration: Cache-Control and those of the key header. */
void reply_add_fields(const struct site *site, struct sl_request *req);

/* Answer a GET or HEAD with the regular file open as fd, and close fd. path is relative to the root; the type of the
 * file and the names of compressed ones are made from it. Returns the result of sl_module.handle. */
int reply_file(struct site *site, struct sl_request *req, const char *path, int fd, const struct stat *st);

#endif
