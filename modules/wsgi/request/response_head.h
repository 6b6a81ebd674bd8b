/*
 * response_head.h: the status and the header list of start_response.
 */
#ifndef RESPONSE_HEAD_H
#define RESPONSE_HEAD_H

#include <stdint.h>

#include "interp/cpython.h"

struct exchange;

/* Hands what an application gives to start_response to the server, in place of what it gave before. An exception says
 * what is wrong with it. */
int response_head_set(struct exchange *x, PyObject *status, PyObject *headers);

/* The body begins. length is its size, used if the application gave no Content-Length; -1 if it is not known. */
int response_head_complete(struct exchange *x, int64_t length);

#endif
