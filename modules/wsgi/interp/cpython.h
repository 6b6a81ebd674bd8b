/*
 * cpython.h: Python.h, included here only, with the macro that it wants to be defined first.
 *
 * Functions of this module that work with Python objects follow its habits: they need the GIL, and failure is NULL or
 * -1 with an exception set. The others return a negative errno. "Not on a coroutine" is start and stop, on the OS
 * thread's stack.
 */
#ifndef CPYTHON_H
#define CPYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#endif
