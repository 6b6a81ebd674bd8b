/*
 * response_body.h: what an application returns, to the client.
 */
#ifndef RESPONSE_BODY_H
#define RESPONSE_BODY_H

#include <stdint.h>

#include "interp/cpython.h"

struct exchange;

/* Hands body bytes to the server. length is for response_head_complete, if the head was not sent before. */
int response_body_put(struct exchange *x, PyObject *bytes, int64_t length);

/* Hands what was written so far to the kernel. */
int response_body_push(struct exchange *x);

/* Sends what ends the body, while the application still has something to do. */
int response_body_end(struct exchange *x);

/* Sends what the application returned, to its end. */
int response_body_send(struct exchange *x, PyObject *result);

#endif
