/*
 * fields.h: header fields to HTTP_* variables.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include "interp/cpython.h"
#include "syncless.h"

/* Adds the header fields of a request to its environ. Returns 1 if Upgrade is among them, 0 or -1. */
int fields_add(PyObject *env, const struct sl_request *req);

/* Empties the cache of names and values. */
void fields_clear(void);

#endif
