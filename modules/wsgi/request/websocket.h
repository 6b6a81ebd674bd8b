/*
 * websocket.h: a request whose connection goes on in another protocol.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include "interp/cpython.h"

struct exchange;

int websocket_init_type(void);

/* Adds the type Stream to a Python module. */
int websocket_add_type(PyObject *module);

/* Returns the value of environ's syncless.websocket as a new reference. */
PyObject *websocket_function(void);

/* The request is over: waits until no coroutine is in a call on its connection. */
void websocket_end(struct exchange *x);

/* The functions field and upgrade of _syncless. */
PyObject *websocket_field(PyObject *module, PyObject *name);
PyObject *websocket_upgrade(PyObject *module, PyObject *args);

#endif
