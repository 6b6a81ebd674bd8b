/*
 * operator.h: sessions that an operator has with this process: a prompt, a debugger on a request.
 */
#ifndef OPERATOR_H
#define OPERATOR_H

#include "interp/cpython.h"

/* Begin to accept them. On the main thread. */
void operator_init(void);

/* _syncless.hold(on): the time of the request that this coroutine serves does not run. */
PyObject *operator_hold(PyObject *module, PyObject *on);

#endif
