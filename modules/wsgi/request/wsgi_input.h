/*
 * wsgi_input.h: wsgi.input, the body of a request.
 */
#ifndef WSGI_INPUT_H
#define WSGI_INPUT_H

#include "interp/cpython.h"

struct exchange;

int wsgi_input_init_type(void);

/* Returns the body of x as a new reference. */
PyObject *wsgi_input_new(struct exchange *x);

/* Returns a new reference to a body that is empty, which can serve all requests without one. */
PyObject *wsgi_input_empty(void);

/* The request is over: input raises an exception from now on. */
void wsgi_input_end(PyObject *input);

#endif
