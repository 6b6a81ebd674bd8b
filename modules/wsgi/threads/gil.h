/*
 * gil.h: takes and releases the GIL in the OS thread of the coroutines.
 */
#ifndef GIL_H
#define GIL_H

#include "interp/cpython.h"

/* Takes the GIL, and releases it. */
void gil_take(PyThreadState *state);
void gil_give(void);

/* Instead of gil_give: this state, which is idle, holds the GIL until another coroutine takes it or gil_return is
 * called. */
void gil_keep(PyThreadState *state);

/* Releases the GIL if it was kept. */
void gil_return(void);

/* The coroutine of this state, which may be NULL, parks: releases the GIL if it holds it. Returns with which state, or
 * NULL. */
PyThreadState *gil_park(PyThreadState *state);

/* The coroutine runs again: takes the GIL if held, what gil_park returned, is not NULL. If it is, has PyGILState_Ensure
 * find the state found again, what compat_found returned before the park, unless that is NULL. */
void gil_resume(PyThreadState *held, PyThreadState *found);

/* This state is of the coroutine that runs Python code from now on, or may do so; NULL: of none. The GIL is dropped for
 * others when it has used up its slice. */
void gil_watch(PyThreadState *state);

/* The same for a thread that CPython has started, and whose state it may free at any time: whoever has the GIL. */
void gil_watch_holder(void);

/* The state is about to be freed: it is not watched any more, in no thread. */
void gil_unwatch(const PyThreadState *state);

/* In a forked child: no other thread uses it. */
void gil_forget_threads(void);

/* In any thread: have the code of the state that is watched drop the GIL. */
void gil_ask(void);

#endif
