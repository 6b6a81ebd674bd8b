/*
 * exchange.h: a request on its way through the application.
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "interp/cpython.h"
#include "syncless.h"

struct interrupt;

/* Text written to wsgi.errors that does not end in a line break yet. */
struct partial_line {
    char *text; /* owned, PyMem_Free */
    size_t size, capacity;
};

/* It lives on the stack of application_handle; the Python objects that point at it are told when it ends, since the
 * application may keep them. */
struct exchange {
    struct sl_request *req;
    void *coroutine;            /* sl_self(): only there may the body be read or written */
    bool started;               /* start_response has been called, and the server has status and headers */
    PyObject *status, *headers; /* given in another thread: owned, handed to the server when the body begins */
    PyObject *start_response;   /* owned */
    PyObject *write;            /* owned */
    PyObject *input;            /* owned; NULL if the request has no body */
    bool head_sent;             /* the first byte of the body, or its end, has come: the head cannot change */
    bool bodiless;              /* HEAD, 204, 205 or 304 */
    int64_t length;             /* Content-Length of the response, -1 if there is none */
    int64_t sent;               /* bytes of body handed to the server */
    int error;                  /* the negative errno by which the connection failed, or 0 */
    struct partial_line line;
    PyObject *refused;           /* owned; the HandshakeError of a WebSocket that was refused, or NULL */
    PyObject *stream;            /* owned; the connection after an upgrade, or NULL: what it answers else is ignored */
    struct interrupt *interrupt; /* of the coroutine */
    int64_t quiet_until;         /* exchange_now() before which no further exception ends it */
};

/* Returns CLOCK_MONOTONIC milliseconds. Async-signal-safe. */
int64_t exchange_now(void);

/* Whether the request has run for its request-timeout. Async-signal-safe. */
bool exchange_is_overdue(const struct exchange *x);

/* Sets the exception for a negative errno of the server: the client is gone, or its message is malformed. */
void exchange_raise(struct exchange *x, int error, const char *doing);

#endif
