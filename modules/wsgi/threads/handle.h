/*
 * handle.h: _syncless.Handle, what Python code holds of a coroutine.
 */
#ifndef HANDLE_H
#define HANDLE_H

#include "interp/cpython.h"

struct interrupt;

int handle_init(void);

/* The handle of a coroutine, as a new reference, made if there is none. */
PyObject *handle_of(struct interrupt *i, unsigned long ident);

/* The coroutine ends, or what it did for its present user. */
void handle_end(struct interrupt *i);

#endif
