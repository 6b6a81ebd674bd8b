/*
 * handle.h: _syncless.Handle, by which Python code refers to a coroutine.
 */
#ifndef HANDLE_H
#define HANDLE_H

#include "interp/cpython.h"

struct interrupt;

/* reach has a coroutine that computes notice what was sent to it. */
int handle_init_type(void (*reach)(struct interrupt *i));

/* Adds it to a Python module. */
int handle_add_type(PyObject *module);

/* Returns the handle of a coroutine as a new reference. It is made if there is none; ident is its thread identity. */
PyObject *handle_of(struct interrupt *i, unsigned long ident);

/* Returns a list of new handles, for handle_put. */
PyObject *handle_new_list(Py_ssize_t size);

/* Makes the n-th handle of such a list that of a coroutine: it is given to it, or replaced by the one that it has.
 * Never runs Python code. */
void handle_put(PyObject *list, Py_ssize_t n, struct interrupt *i, unsigned long ident);

/* Returns the threading.Thread of the handle's coroutine as a new reference. It is made if there is none. None if the
 * coroutine has ended. */
PyObject *handle_thread(PyObject *handle);

/* Has threading._active list the coroutine, unless it is internal. */
int handle_list_thread(PyObject *handle);

/* The coroutine has ended in the middle of its function: tells its owner, by its method _end_early, if it has one. */
void handle_cut(struct interrupt *i);

/* The coroutine ends, or what it did for its present user: its handle forgets it, and its Thread ends. */
void handle_end(struct interrupt *i);

/* In a forked child: the coroutine of the handle is gone. Runs no Python code. */
void handle_abandon(struct interrupt *i);

#endif
