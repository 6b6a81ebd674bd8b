/* response.h: the response to a request. The contracts are those of the sl_ functions in syncless.h. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "http/request/request.h"

/* Called before the head of each response is written; NULL: nothing is. */
extern void (*response_before_head)(struct request *req);

int response_status(struct request *req, int status, const char *reason);
int response_header(struct request *req, const char *name, size_t name_size, const char *value, size_t value_size);
int response_reset(struct request *req);

/* Reset the response, except that the fields set so far stay, now and at each later reset: they are a filter's. */
void response_keep(struct request *req);

int response_write(struct request *req, const void *buf, size_t size);
int response_sendfile(struct request *req, int fd, off_t offset, size_t size);
int response_upgrade(struct request *req, const char *protocol);

/* See sl_hand_over. */
int response_hand_over(struct request *req);
int response_flush(struct request *req);
int response_reply(struct request *req, int status, const char *type, const void *body, size_t size);

/* Answer with a plain page for a status, in place of what was set so far. Only before the head is sent. */
int response_page(struct request *req, int status);

/* The handler has returned: write the head if it was not, and what ends the body. Returns 0, or -errno if the
 * connection cannot be used any more (-EPROTO: the body is shorter than its Content-Length). May be called again. */
int response_finish(struct request *req);

#endif
