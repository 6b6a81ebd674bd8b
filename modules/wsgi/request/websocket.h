/*
 * websocket.h: a request whose connection goes on in another protocol.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stdbool.h>

#include "interp/cpython.h"

struct exchange;

int websocket_init_type(void);

/* Adds the type Stream to a Python module. */
int websocket_add_type(PyObject *module);

/* Returns the value of environ's syncless.websocket as a new reference. */
PyObject *websocket_function(void);

/* The request is over: waits until no coroutine is in a call on its connection. */
void websocket_end(struct exchange *x);

/* Imports the package's part, so that no request has to. */
int websocket_import(void);
void websocket_clear(void);

/* The application has raised an exception. If that is how a WebSocket ends, or the handshake was refused and the
 * application leaves the answer to us, clears it and returns true: the request is done. */
bool websocket_conclude(struct exchange *x);

/* The handshake was refused, and the application answers with that status. If it is 500, as of a framework that has
 * caught the HandshakeError of a view, answers as that says and returns true. */
bool websocket_refuse(struct exchange *x, PyObject *status);

/* Adds the connection's socket to the environ of a request that asks for an upgrade, for libraries that know gunicorn's
 * name for it. */
int websocket_add_socket(PyObject *env);

/* The functions fields, upgrade and hand_over of _syncless. */
PyObject *websocket_fields(PyObject *module, PyObject *name);
PyObject *websocket_upgrade(PyObject *module, PyObject *args);
PyObject *websocket_hand_over(PyObject *module, PyObject *socket);

#endif
