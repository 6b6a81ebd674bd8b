/*
 * input.h: wsgi.input, the body of a request.
 */
#ifndef INPUT_H
#define INPUT_H

#include "interp/cpython.h"

struct exchange;

int input_init_type(void);

/* Returns the body of x as a new reference. */
PyObject *input_new(struct exchange *x);

/* Returns a new reference to a body that is empty, which can serve all requests without one. */
PyObject *input_empty(void);

/* The request is over: input raises an exception from now on. */
void input_end(PyObject *input);

#endif
