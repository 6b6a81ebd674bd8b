/*
 * upgrade.h: a request whose connection goes on in another protocol.
 */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "interp/cpython.h"

struct exchange;

int upgrade_init_type(void);

/* Adds the type Stream to a Python module. */
int upgrade_add_type(PyObject *module);

/* Returns the value of environ's syncless.websocket as a new reference. */
PyObject *upgrade_function(void);

/* The request is over: waits until no coroutine is in a call on its connection. */
void upgrade_end(struct exchange *x);

/* The functions field and upgrade of _syncless. */
PyObject *upgrade_field(PyObject *module, PyObject *name);
PyObject *upgrade_run(PyObject *module, PyObject *args);

#endif
