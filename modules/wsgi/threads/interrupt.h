/*
 * interrupt.h: exceptions for coroutines that wait.
 */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "interp/cpython.h"
#include "syncless.h"

struct exchange;

/* Exceptions on their way to a coroutine. While there are any, it is cancelled with EINTR. */
struct interrupt {
    void *coroutine;     /* its sl_self() */
    void (*raise)(void); /* sets the exception that the server has sent; NULL: none */
    PyObject *queue;     /* owned list of those that Python code has sent; NULL: none yet */
    bool tripped;        /* the signal was tripped for it, and its handler has not run */
    bool failed;         /* a wait has failed with ECANCELED since the last one was raised or taken back */
    PyObject *handle;    /* owned; what Python holds of the coroutine, NULL if nobody has asked */
};

/* Make the exception types. -1 with an exception. In the main thread. */
int interrupt_init(void);

/* Make them known to Python. -1 with an exception. */
int interrupt_add_types(PyObject *module);

/* Have raise(), which sets an exception, called on that coroutine where it waits, or will wait next. Needs no GIL; in
 * the worker's OS thread. */
void interrupt_send(struct interrupt *i, void (*raise)(void));

/* The same for an exception of Python code, after those that were queued before: 0, or -1 with an exception set. */
int interrupt_queue(struct interrupt *i, PyObject *exception);

/* Take it back. Returns 1; 0 if it is not queued: it was raised; -1 with an exception set. */
int interrupt_withdraw(struct interrupt *i, PyObject *exception);

/* Cancel the coroutine if an exception is pending, else clear the cancellation. After somebody else has changed it. */
void interrupt_renew(struct interrupt *i);

/* As sl_local.cancelled. */
void interrupt_cancelled(struct interrupt *i, int error);

/* The same with syncless.Killed: the worker stops. */
void interrupt_kill(struct interrupt *i);

/* This coroutine has come to the end of what could be interrupted: drop what is pending. With the GIL. */
void interrupt_settle(struct interrupt *i);

/* As sl_module.cancel. */
void interrupt_request(void *self, struct sl_request *req, int why);

/* CLOCK_MONOTONIC milliseconds. */
int64_t interrupt_now(void);

/* Whether a request may be interrupted now: not while it has time for its finally blocks after the last one. If so,
 * that time begins. */
bool interrupt_begin(struct exchange *x);

/* The exception type of request-timeout, borrowed. */
PyObject *interrupt_timeout(void);

/* Whether the exception that is set is syncless.Killed. */
bool interrupt_is_kill(void);

/* If the exception that is set is one for which a request was ended: log and clear it, and return what the server shall
 * do. Else 0. */
int interrupt_conclude(const struct sl_request *req);

#endif
