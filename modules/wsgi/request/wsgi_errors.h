/*
 * wsgi_errors.h: wsgi.errors, a text file that goes to the log.
 */
#ifndef WSGI_ERRORS_H
#define WSGI_ERRORS_H

#include "interp/cpython.h"

struct exchange;

int wsgi_errors_init_type(void);

/* Returns a new reference to the object that serves all requests. */
PyObject *wsgi_errors_new(void);

/* The request is over: logs what is left of an unfinished line. */
void wsgi_errors_end(struct exchange *x);

#endif
