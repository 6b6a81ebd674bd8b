/*
 * spawn.h: Python functions on coroutines of their own.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include "interp/cpython.h"

/* The function spawn of _syncless. */
PyObject *spawn_call(PyObject *module, PyObject *args, PyObject *kwargs);

/* The function on_drain of _syncless. */
PyObject *spawn_on_drain(PyObject *module, PyObject *function);

#endif
