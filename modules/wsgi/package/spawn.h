/*
 * spawn.h: Python functions on coroutines of their own.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include "interp/cpython.h"

/* The function spawn of _syncless. */
PyObject *spawn_call(PyObject *module, PyObject *args, PyObject *kwargs);

#endif
