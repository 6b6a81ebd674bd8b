/*
 * tstate.h: one PyThreadState for each coroutine.
 */
#ifndef TSTATE_H
#define TSTATE_H

#include <stdbool.h>

#include "interp/cpython.h"

struct exchange;
struct interrupt;
struct section;

/* Registers the hooks for coroutines that park, resume and end. Returns 0 or a negative errno. */
int tstate_init(void);

/* Makes the types Handle and Killed, and threading know coroutines. Once is enough. */
int tstate_init_types(void);

/* Takes the GIL on this coroutine, which serves the request x by function from now on. Returns the coroutine's
 * interrupts; NULL without memory, and then without the GIL. */
struct interrupt *tstate_enter(struct exchange *x, PyObject *function);

/* Ends the request and releases the GIL. */
void tstate_leave(void);

/* Gives this coroutine the thread state that holds the GIL now, the interpreter's main one, until tstate_disown. For
 * the main coroutine; nothing happens outside of a coroutine. */
void tstate_adopt(void);
void tstate_disown(void);

/* Takes the GIL with a thread state made for this call of function, so that Python sees a new thread;
 * tstate_leave_fresh deletes it and releases the GIL. Returns 0, or -ENOMEM without the GIL. */
int tstate_enter_fresh(PyObject *function);
void tstate_leave_fresh(void);

/* Returns the request that this coroutine serves; NULL on any other thread and outside of a request. */
struct exchange *tstate_exchange(void);

/* Returns the interrupts of this coroutine; NULL if it has no thread state. */
struct interrupt *tstate_interrupt(void);

/* Returns the record of the section that this coroutine is in, also upon another thread; NULL outside of coroutines. */
struct section *tstate_section(void);

/* This coroutine was away upon another thread, and has the GIL: an exception that was sent meanwhile is raised now. */
void tstate_returned(void);

/* Returns the _syncless.Handle of this coroutine as a new reference, None outside of one. */
PyObject *tstate_handle(void);

/* Returns a list of the handles of all coroutines that run Python code or wait in it. */
PyObject *tstate_handles(void);

/* Returns the request that the Python thread of that identity serves, or NULL. With the GIL, in any thread. */
struct exchange *tstate_find(unsigned long identity);

/* Called with the GIL when a coroutine that serves a request ends by pthread_exit; one function. */
void tstate_on_cut(void (*fn)(struct exchange *x));

/* This coroutine is not preempted, until that is taken back as often as it was said. It may wait. Does nothing in an OS
 * thread. */
void tstate_steady(bool on);

/* Threads that this coroutine starts are threads of the system, if on, whatever python-threads says. */
void tstate_start_real_threads(bool on);

/* Returns the identity of the Python thread that the coroutine of these interrupts is. It serves a request. */
unsigned long tstate_identity(const struct interrupt *interrupt);

/* Has fn called when a request blocks the event loop, with that request and the identity of its Python thread. fn runs
 * in a signal handler that has interrupted the request's own code. */
void tstate_on_blocking(void (*fn)(const struct exchange *x, unsigned long identity));

/* Have these called when an operator wants to debug the request of the Python thread of that identity, or a prompt; see
 * sl_local.debug. */
void tstate_on_sessions(bool (*debug)(int fd, unsigned long identity), bool (*console)(int fd));

/* Logs whether states of coroutines that have ended, or threads of the application, were left behind. */
void tstate_log_counts(void);

#endif
