/*
 * fields.h: header fields to HTTP_* variables.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include "interp/cpython.h"
#include "syncless.h"

/* Adds the header fields of a request to its environ. */
int fields_add(PyObject *env, const struct sl_request *req);

/* Empties the cache of names and values. */
void fields_clear(void);

#endif
