/*
 * app_kind.h: whether an object is a WSGI application, as far as that can be told without calling it.
 */
#ifndef APP_KIND_H
#define APP_KIND_H

#include <stdbool.h>

#include "interp/cpython.h"

/* Fails, with an exception that says what it is instead, if the object is certainly no WSGI application. name is
 * "module:attribute", for messages. */
int app_kind_check(PyObject *app, const char *name);

/* Returns a list of names in a module, as they are written behind the colon: its applications, and functions that are
 * likely to make one, as calls. */
PyObject *app_kind_list(PyObject *module);

#endif
