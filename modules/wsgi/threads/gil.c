/*
 * gil.c: takes and releases the GIL in the OS thread of the coroutines.
 *
 * To release it and take it again costs a twentieth of a small request, so a coroutine keeps it when its request is
 * over: the next request in the same iteration of the event loop usually goes to the same coroutine, since the pool is
 * last in, first out, and finds the GIL taken. Any other coroutine that needs the GIL releases it first for the idle
 * one that keeps it; waiting for it would deadlock. It is also released before the loop polls for events. So OS threads
 * get it as if it were not kept: at the end of an iteration, or after Python's switch interval, which running code
 * checks.
 *
 * Code that has used up its slice is asked to drop the GIL, by the flag by which threads ask that want it. No thread
 * has to want it: where the evaluator then waits for another to take it, server/libc/sync/cond.c lets other coroutines
 * run. So preemption takes no switch of threads, and happens at the same places as with threads.
 */
#include "threads/gil.h"

#include <pthread.h>
#include <stdatomic.h>

#include "interp/compat.h"

static PyThreadState *_Atomic watched; /* of the coroutine that runs; or NULL */
static PyThreadState any_holder;       /* watched instead if it is unknown */

/* Taken to use the watched state in another thread, and to free it. */
static pthread_mutex_t watched_lock = PTHREAD_MUTEX_INITIALIZER;

static PyThreadState *kept; /* the state of an idle coroutine that holds the GIL; or NULL */

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
    PyEval_RestoreThread(state);
}

void gil_give(void)
{
    PyEval_SaveThread();
}

void gil_keep(PyThreadState *state)
{
    kept = state;
}

PyThreadState *gil_park(PyThreadState *state)
{
    PyThreadState *held = compat_holder(state);

    if (held)
        PyEval_SaveThread();
    return held;
}

void gil_resume(PyThreadState *held, PyThreadState *found)
{
    gil_return();
    if (held) {
        PyEval_RestoreThread(held);
    } else if (found && compat_found(found) != found) {
        PyEval_RestoreThread(found);
        PyEval_SaveThread();
    }
}

/* ---- preemption ---- */

void gil_watch(PyThreadState *state)
{
    atomic_store_explicit(&watched, state, memory_order_relaxed);
}

void gil_watch_holder(void)
{
    gil_watch(&any_holder);
}

void gil_unwatch(const PyThreadState *state)
{
    pthread_mutex_lock(&watched_lock);
    if (atomic_load(&watched) == state)
        atomic_store(&watched, NULL);
    pthread_mutex_unlock(&watched_lock);
}

void gil_forget_threads(void)
{
    watched_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void gil_ask(void)
{
    PyThreadState *state;

    pthread_mutex_lock(&watched_lock);
    state = atomic_load(&watched);
    if (state == &any_holder && Py_IsInitialized())
        compat_ask_holder();
    else if (state && Py_IsInitialized())
        compat_ask_for_gil(state);
    pthread_mutex_unlock(&watched_lock);
}
