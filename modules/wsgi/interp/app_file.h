/*
 * app_file.h: applications in files that are named by their path.
 */
#ifndef APP_FILE_H
#define APP_FILE_H

#include <stdbool.h>

#include "interp/cpython.h"

/* Whether a name is that of a file: it has a slash, or it ends in .py. */
bool app_file_is_meant(const char *name);

/* Returns the module of a file as a new reference. A relative path begins at the working directory. */
PyObject *app_file_import(const char *name);

#endif
