/*
 * serve.h: servers inside a Python program.
 */
#ifndef SERVE_H
#define SERVE_H

#include "interp/cpython.h"

/* The functions serve, serve_connection and serve_end of _syncless. */
PyObject *serve_start(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *serve_accepted(PyObject *module, PyObject *args);
PyObject *serve_plain(PyObject *module, PyObject *capsule);
PyObject *serve_end(PyObject *module, PyObject *capsule);

#endif
