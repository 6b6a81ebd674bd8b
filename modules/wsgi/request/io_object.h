/*
 * io_object.h: what files that applications get have in common with those of Python's module io.
 */
#ifndef IO_OBJECT_H
#define IO_OBJECT_H

#include "interp/cpython.h"

/* Makes isinstance(object, io.NAME) true for objects of a type: io.BufferedIOBase, io.TextIOBase. Returns 0 or -1. */
int io_object_register(PyTypeObject *type, const char *name);

/* Methods without arguments. enter is __enter__. */
PyObject *io_object_true(PyObject *self, PyObject *unused);
PyObject *io_object_false(PyObject *self, PyObject *unused);
PyObject *io_object_none(PyObject *self, PyObject *unused);
PyObject *io_object_enter(PyObject *self, PyObject *unused);

/* A method, of any arguments, that the file cannot have: raises io.UnsupportedOperation. */
PyObject *io_object_unsupported(PyObject *self, PyObject *args);

/* The method __exit__: calls close(). */
PyObject *io_object_exit(PyObject *self, PyObject *args);

/* A row for a table of methods. */
#define IO_OBJECT_UNSUPPORTED(NAME)                                                                                    \
    {                                                                                                                  \
        NAME, io_object_unsupported, METH_VARARGS, NAME "(): not supported."                                           \
    }

#endif
