/*
 * thread_object.h: the threading.Thread object of a coroutine.
 */
#ifndef THREAD_OBJECT_H
#define THREAD_OBJECT_H

#include <stdbool.h>

#include "interp/cpython.h"

/* Imports threading. Once is enough. */
int thread_object_init(void);

/* Returns the module's __dict__, borrowed. */
PyObject *thread_object_module(void);

/* Returns threading._active, borrowed. */
PyObject *thread_object_table(void);

/* Returns a Thread that runs under that identity. It calls function; its name is that of owner, by default one as
 * Thread chooses. Both may be NULL. */
PyObject *thread_object_new(PyObject *function, PyObject *owner, unsigned long ident);

/* Enters a Thread into threading._active. */
int thread_object_enter(PyObject *thread, unsigned long ident);

/* Whether threading._active has a Thread of that identity, be it that of a coroutine or of an OS thread. */
bool thread_object_entered(unsigned long ident);

/* Whatever has that identity in threading._active is not alive: removes it. */
void thread_object_forget(unsigned long ident);

/* The Thread has ended: is no longer in threading._active, and who joins it goes on. */
void thread_object_end(PyObject *thread, unsigned long ident);

#endif
