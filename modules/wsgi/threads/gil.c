/*
 * gil.c: the GIL, in the OS thread of the coroutines: the one place where it is taken and given back.
 *
 * Giving it back and taking it again is a twentieth of a small request, so a coroutine keeps it when its request is
 * over: the next request of the same turn of the loop mostly comes to the same coroutine, since the pool is last in,
 * first out, and finds it taken. Whoever else wants it in this OS thread takes it from that one, which does not run:
 * to wait for it would be to wait for ever. And it is given back before the loop looks for events, so other threads
 * get it when they did before: at the end of a turn, or whenever they have waited for Python's switch interval, which
 * running code looks at.
 */
#include "threads/gil.h"

#include "interp/compat.h"

static PyThreadState *kept; /* holds the GIL, though nothing runs with it; or NULL */

void gil_return(void)
{
    if (!kept)
        return;
    kept = NULL;
    PyEval_SaveThread();
}

void gil_take(PyThreadState *state)
{
    if (kept == state) {
        kept = NULL;
        return;
    }
    gil_return();
    compat_attach(state);
}

void gil_give(void)
{
    PyEval_SaveThread();
}

void gil_keep(PyThreadState *state)
{
    kept = state;
}

bool gil_park(PyThreadState *state)
{
    bool held = compat_holds_gil(state);

    if (held)
        PyEval_SaveThread();
    return held;
}

void gil_resume(PyThreadState *state, bool held)
{
    gil_return();
    if (held)
        compat_attach(state);
    else
        compat_resume(state);
}
