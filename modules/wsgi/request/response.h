/*
 * response.h: what an application returns, to the client.
 */
#ifndef RESPONSE_H
#define RESPONSE_H

#include <stdint.h>

#include "interp/cpython.h"

struct exchange;

/* Hands body bytes to the server. length is for head_complete, if the head was not sent before. */
int response_put(struct exchange *x, PyObject *bytes, int64_t length);

/* Hands what was written so far to the kernel. */
int response_push(struct exchange *x);

/* Sends what ends the body, while the application still has something to do. */
int response_end(struct exchange *x);

/* Sends what the application returned, to its end. */
int response_send(struct exchange *x, PyObject *result);

#endif
