/*
 * errors.h: wsgi.errors, a text file that goes to the log.
 */
#ifndef ERRORS_H
#define ERRORS_H

#include "interp/cpython.h"

struct exchange;

int errors_init_type(void);

/* Returns a new reference to the object that serves all requests. */
PyObject *errors_new(void);

/* The request is over: logs what is left of an unfinished line. */
void errors_end(struct exchange *x);

#endif
