/*
 * import.h: from "module:attribute" or "file.py:attribute" to the application.
 */
#ifndef IMPORT_H
#define IMPORT_H

#include "interp/cpython.h"

/* Returns the callable that spec names, "module:attribute" or "module:factory()", as a new reference. In place of the
 * module there may be a file. Fails if the callable is certainly no WSGI application. */
PyObject *import_app(const char *spec);

/* Whether a file that spec names is there, below chdir if its path is relative, without Python. Returns 0, also if spec
 * names a module; or a negative errno, with the reason in the log. */
int import_check_file(const char *spec, const char *chdir);

/* Fails if gevent or eventlet has monkey-patched the standard library, whose calls let others run here. */
int import_check_patches(void);

#endif
