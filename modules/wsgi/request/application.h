/*
 * application.h: serves requests by a WSGI application.
 */
#ifndef APPLICATION_H
#define APPLICATION_H

#include "interp/cpython.h"
#include "syncless.h"

struct environ;

/* An application that is mounted somewhere. */
struct application {
    PyObject *callable;      /* owned; NULL before application_init */
    struct environ *environ; /* owned; the template of its environs */
};

/* Makes the types of the objects that requests have. In the main thread, or on a coroutine; once is enough. */
int application_init_types(void);

/* Takes a new reference to callable. */
int application_init(struct application *app, PyObject *callable);
void application_release(struct application *app);

/* Serves a request, on its coroutine and without the GIL. Returns what sl_module.handle does. */
int application_handle(const struct application *app, struct sl_request *req);

/* Frees what is kept for the next request. */
void application_clear(void);

#endif
