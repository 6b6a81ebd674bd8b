/* body.h: the body of a request. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "http/request/request.h"

/* See sl_body in syncless.h. */
ssize_t body_read(struct request *req, void *buf, size_t size);

/* Whether none of it has been handed out by body_read. */
bool body_is_unread(const struct request *req);

/* See sl_body_cancel. */
void body_cancel(struct request *req);

/* Read and drop what the handler left of the body, within limits (a megabyte, body-timeout in all), so that the next
 * request can be found. Returns false if the connection must close instead. */
bool body_discard(struct request *req);

#endif
