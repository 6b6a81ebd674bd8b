/*
 * gil.h: takes and releases the GIL in the OS thread of the coroutines.
 */
#ifndef GIL_H
#define GIL_H

#include <stdbool.h>

#include "interp/cpython.h"

/* Takes the GIL, and releases it. */
void gil_take(PyThreadState *state);
void gil_give(void);

/* Instead of gil_give: this state, which is idle, holds the GIL until another coroutine takes it or gil_return is
 * called. */
void gil_keep(PyThreadState *state);

/* Releases the GIL if it was kept. */
void gil_return(void);

/* The coroutine of this state parks: releases the GIL if it holds it. Returns whether it did. */
bool gil_park(PyThreadState *state);

/* The coroutine runs again: takes the GIL if held, what gil_park returned, says so. */
void gil_resume(PyThreadState *state, bool held);

#endif
