/*
 * import.h: from "module:attribute" to the application.
 */
#ifndef IMPORT_H
#define IMPORT_H

#include "interp/cpython.h"

/* Returns the callable that spec names, "module:attribute" or "module:factory()", as a new reference. */
PyObject *import_app(const char *spec);

/* Fails if gevent or eventlet has monkey-patched the standard library, since their event loops cannot run here. */
int import_check_patches(void);

#endif
