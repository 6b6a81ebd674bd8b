/*
 * interrupt.h: exceptions for coroutines that wait.
 */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>

#include "interp/cpython.h"

/* The exceptions that are pending for a coroutine. While there are any, it is cancelled with EINTR. */
struct interrupt {
    void *coroutine;     /* its sl_self() */
    void (*raise)(void); /* sets the exception that the server has sent; NULL: none */
    PyObject *queue;     /* owned list of what Python code has sent, exceptions and functions; NULL: none yet */
    bool tripped;        /* the signal was tripped for it, and its handler has not run */
    bool failed;         /* a wait has failed with ECANCELED since an exception was last raised or taken back */
    PyObject *handle;    /* owned; its _syncless.Handle, NULL if nobody has asked for it */
    PyObject *function;  /* owned: what it runs; NULL if that is not known */
};

/* Makes the exception type Killed and installs the signal handler. current returns the interrupts of the coroutine that
 * runs. Once is enough. */
int interrupt_init_types(struct interrupt *(*current)(void));

/* Adds Killed to a Python module. */
int interrupt_add_types(PyObject *module);

/* Has raise(), which sets an exception, called on that coroutine where it waits, or will wait next. Needs no GIL; in
 * the worker's OS thread. */
void interrupt_send(struct interrupt *i, void (*raise)(void));

/* The same with syncless.Killed, since the worker stops. */
void interrupt_kill(struct interrupt *i);

/* The same for an exception that Python code sends. It is raised after those that were queued before. */
int interrupt_queue(struct interrupt *i, PyObject *exception);

/* The same for a function, which is called there with the frame; then the wait goes on, unless it has raised something.
 * In a C library the wait goes on at once; called once more meanwhile, the function is called at its end. */
int interrupt_call(struct interrupt *i, PyObject *function);

/* Takes back an exception that was queued. Returns 1; 0 if it is not queued since it was raised already; or -1. */
int interrupt_withdraw(struct interrupt *i, PyObject *exception);

/* Whether there is one. */
bool interrupt_is_pending(const struct interrupt *i);

/* Cancels the coroutine if an exception is pending, and else clears its cancellation; after others have changed it. */
void interrupt_renew(struct interrupt *i);

/* The coroutine's wait is about to fail with that error; see sl_local.cancelled. */
void interrupt_cancelled(struct interrupt *i, int error);

/* This coroutine has ended what could be interrupted: drops what is pending. With the GIL. */
void interrupt_settle(struct interrupt *i);

/* Whether what was sent has not been raised yet: the coroutine has not waited since. */
bool interrupt_is_sent(const struct interrupt *i);

/* Takes that back; in the worker's OS thread. */
void interrupt_unsend(struct interrupt *i);

/* Whether the exception that is set is syncless.Killed. */
bool interrupt_is_kill(void);

#endif
