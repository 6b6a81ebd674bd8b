/*
 * builtin.h: _syncless, the module in C behind the package syncless.
 */
#ifndef BUILTIN_H
#define BUILTIN_H

#include "interp/cpython.h"

/* Makes the module; for PyImport_AppendInittab. */
PyObject *builtin_init(void);

#endif
