/*
 * environ.h: the environ dict of a request.
 */
#ifndef ENVIRON_H
#define ENVIRON_H

#include "interp/cpython.h"

struct environ;
struct exchange;

/* Makes the template that an application's environs are copied from, and frees it. */
struct environ *environ_new(void);
void environ_free(struct environ *e);

/* Returns a dict with the variables of a request. Sets x->input if it has a body. */
PyObject *environ_make(struct environ *e, struct exchange *x);

#endif
