/*
 * request_cancel.h: requests that are ended before their time, by exceptions in the application.
 */
#ifndef REQUEST_CANCEL_H
#define REQUEST_CANCEL_H

#include <stdbool.h>

#include "interp/cpython.h"
#include "syncless.h"

struct exchange;

/* Makes the exception types RequestTimeout and ClientGone. Once is enough. */
int request_cancel_init_types(void);

/* Adds them to a Python module. */
int request_cancel_add_types(PyObject *module);

/* Raises one of them in the application, where it waits; see sl_module.cancel. */
void request_cancel(void *self, struct sl_request *req, int why);

/* Whether an exception may be raised in a request now: not in the time that its finally blocks have after the last one.
 * If so, that time begins. */
bool request_cancel_begin(struct exchange *x);

/* Returns RequestTimeout, borrowed. */
PyObject *request_cancel_timeout_type(void);

/* If the exception that is set is one by which a request was ended, logs and clears it, and returns what
 * sl_module.handle is to return. Else returns 0. */
int request_cancel_conclude(const struct sl_request *req);

#endif
