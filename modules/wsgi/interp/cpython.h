/*
 * cpython.h: Python.h, included here only, with the macro that it wants to be defined first.
 *
 * Functions of this module that work with Python objects follow its habits: they need the GIL, and failure is NULL or
 * -1 with an exception set. The others return a negative errno. "On the main thread" is start and stop: on a coroutine
 * that is the main thread of a worker, or with preload on the stack of the fork server.
 */
#ifndef CPYTHON_H
#define CPYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h> /* PyFrame_GetBack, which Python.h of 3.10 does not have */

#endif
