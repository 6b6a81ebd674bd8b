/*
 * trace_hooks.h: threading.settrace and threading.setprofile for coroutines.
 */
#ifndef TRACE_HOOKS_H
#define TRACE_HOOKS_H

#include "interp/cpython.h"

/* Prepares the two calls below. Once is enough. */
int trace_hooks_init(void);

/* A thread begins to run Python code with the current state: calls sys.settrace and sys.setprofile as Thread.start
 * does. */
void trace_hooks_begin(void);

/* It has ended: what traced it does not trace the next one. */
static inline void trace_hooks_end(const PyThreadState *state)
{
    if (state->c_tracefunc)
        PyEval_SetTrace(NULL, NULL);
    if (state->c_profilefunc)
        PyEval_SetProfile(NULL, NULL);
}

#endif
