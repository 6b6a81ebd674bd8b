/*
 * tstate.c: one PyThreadState for each coroutine, so that to CPython a coroutine is a thread.
 *
 * A state is made on the coroutine itself, at its first request, so that it takes the coroutine's thread identity, and
 * stays with it in the pool: making and deleting one costs more than a whole request. Only spawned functions get one
 * that is new, since they are threads to Python, whose threading.local begins empty. A coroutine takes and gives the
 * GIL as a thread does (gil.c), by PyEval_RestoreThread and PyEval_SaveThread, never by PyThreadState_Swap, which means
 * something else in each CPython.
 *
 * When a coroutine parks, it is mostly in a blocking call that CPython has already bracketed: its state is detached and
 * nothing is to be done. Some calls come with the GIL held: ours of sl_write, and those of extensions that never let go
 * of it. The park hook releases it then and the resume hook takes it back, so nobody has to foresee which call waits,
 * and the bridge need not give up the GIL around calls that hardly ever do.
 */
#include "threads/tstate.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "syncless.h"
#include "threads/gil.h"
#include "threads/handle.h"
#include "threads/interrupt.h"
#include "threads/overdue.h"
#include "threads/stack_dump.h"

struct thread {
    PyThreadState *state; /* owned, unless borrowed; NULL when there is none now */
    bool borrowed;        /* the interpreter's main state */
    bool runs;            /* it runs Python code, or waits in it; else it rests, or serves what is none of ours */
    struct exchange *x;   /* the request it serves, or NULL */
    bool held;            /* it held the GIL when it parked */
    struct interrupt interrupt;
    struct thread *next;  /* in the list of all */
    struct thread **link; /* what points at it there */
};

static int key = -1;
static struct thread *threads;
static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER; /* overdue.c looks in a thread of its own */

static void thread_park(void *value)
{
    struct thread *t = value;

    if (t->runs)
        t->held = gil_park(t->state);
}

static void thread_resume(void *value)
{
    struct thread *t = value;

    if (!t->runs)
        return;
    if (!Py_IsInitialized() && !t->borrowed)
        pthread_exit(NULL); /* the interpreter ends, and its other threads with it */
    gil_resume(t->state, t->held);
}

static void thread_link(struct thread *t)
{
    pthread_mutex_lock(&threads_lock);
    t->next = threads;
    t->link = &threads;
    if (threads)
        threads->link = &t->next;
    threads = t;
    pthread_mutex_unlock(&threads_lock);
}

static void thread_unlink(struct thread *t)
{
    pthread_mutex_lock(&threads_lock);
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    pthread_mutex_unlock(&threads_lock);
}

/* Free the state that holds the GIL, which is given back. */
static void thread_drop_state(struct thread *t)
{
    PyThreadState_Clear(t->state);
    PyThreadState_DeleteCurrent();
    t->state = NULL;
}

static void thread_delete_state(struct thread *t)
{
    gil_take(t->state);
    thread_drop_state(t);
}

static void thread_release(void *value)
{
    struct thread *t = value;

    if (t->state && Py_IsInitialized())
        thread_delete_state(t);
    thread_unlink(t);
    free(t);
}

/* In a signal handler. Where the state is not the one in use, the coroutine is just coming or going. */
static void thread_dump_stack(void *value, int fd)
{
    const struct thread *t = value;

    if (!t->x || t->state != PyGILState_GetThisThreadState())
        return;
    overdue_note(t->x, t->state->thread_id);
    stack_dump_write(t->state, fd);
}

static void thread_cancelled(void *value, int error)
{
    struct thread *t = value;

    if (t->runs)
        interrupt_cancelled(&t->interrupt, error);
}

/* The worker stops: Killed for what runs Python code, or waits in it. */
static bool thread_cancel(void *value)
{
    struct thread *t = value;

    if (!t->runs || t->borrowed)
        return false;
    interrupt_kill(&t->interrupt);
    return true;
}

static const struct sl_local hooks = {.park = thread_park,
                                      .resume = thread_resume,
                                      .release = thread_release,
                                      .cancelled = thread_cancelled,
                                      .dump_stack = thread_dump_stack,
                                      .cancel = thread_cancel,
                                      .iteration = gil_return};

int tstate_init(void)
{
    if (key < 0)
        key = sl_local_create(&hooks);
    return key < 0 ? key : 0;
}

/* The record of this coroutine, made if there is none; NULL without memory. */
static struct thread *thread_get(void)
{
    struct thread *t = sl_local_get(key);

    if (t)
        return t;
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->interrupt.coroutine = sl_self();
    thread_link(t);
    sl_local_set(key, t);
    return t;
}

/* Take the GIL with the state of this coroutine, made if there is none. NULL without memory, and then without the GIL.
 */
static struct thread *thread_attach(void)
{
    struct thread *t = thread_get();

    if (t && !t->state)
        t->state = PyThreadState_New(PyInterpreterState_Main());
    if (!t || !t->state)
        return NULL;
    gil_take(t->state);
    return t;
}

/* What could be interrupted is over. */
static void thread_settle(struct thread *t)
{
    handle_end(&t->interrupt);
    interrupt_settle(&t->interrupt);
}

struct interrupt *tstate_enter(struct exchange *x)
{
    struct thread *t = thread_attach();

    if (!t)
        return NULL;
    t->runs = true;
    t->x = x;
    return &t->interrupt;
}

void tstate_leave(void)
{
    struct thread *t = sl_local_get(key);

    t->x = NULL;
    thread_settle(t);
    t->runs = false;
    gil_keep(t->state);
}

int tstate_enter_fresh(void)
{
    struct thread *t = thread_get();

    if (!t)
        return -ENOMEM;
    t->runs = true; /* already: what is left in a state may wait while it is cleared */
    if (t->state)
        thread_delete_state(t);
    if (thread_attach())
        return 0;
    t->runs = false;
    return -ENOMEM;
}

void tstate_leave_fresh(void)
{
    struct thread *t = sl_local_get(key);

    thread_settle(t);
    thread_drop_state(t);
    t->runs = false;
}

int tstate_adopt(void)
{
    struct thread *t = thread_get();

    if (!t)
        return -ENOMEM;
    t->state = PyThreadState_Get();
    t->borrowed = t->runs = true;
    return 0;
}

void tstate_disown(void)
{
    struct thread *t = sl_local_get(key);

    if (!t)
        return;
    t->state = NULL;
    t->runs = false;
}

struct exchange *tstate_exchange(void)
{
    struct thread *t = sl_local_get(key);

    return t ? t->x : NULL;
}

struct exchange *tstate_find(unsigned long identity)
{
    struct exchange *x = NULL;

    pthread_mutex_lock(&threads_lock);
    for (struct thread *t = threads; t; t = t->next)
        if (t->x && t->state->thread_id == identity)
            x = t->x;
    pthread_mutex_unlock(&threads_lock);
    return x;
}

struct interrupt *tstate_interrupt(void)
{
    struct thread *t = sl_local_get(key);

    return t ? &t->interrupt : NULL;
}

static PyObject *thread_handle(struct thread *t)
{
    return handle_of(&t->interrupt, t->state->thread_id);
}

PyObject *tstate_handle(void)
{
    struct thread *t = sl_local_get(key);

    return t && t->state ? thread_handle(t) : Py_NewRef(Py_None);
}

PyObject *tstate_handles(void)
{
    PyObject *list = PyList_New(0), *handle;

    for (struct thread *t = threads; list && t; t = t->next) {
        if (!t->runs)
            continue;
        handle = thread_handle(t);
        if (!handle || PyList_Append(list, handle) < 0)
            Py_CLEAR(list);
        Py_XDECREF(handle);
    }
    return list;
}

/* States of coroutines that are no longer there, or threads that the application never ended, would show here. */
static void log_counters(void)
{
    PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Main());
    size_t all = 0, of_coroutines = 0;

    for (; state; state = PyThreadState_Next(state))
        all++;
    for (struct thread *t = threads; t; t = t->next)
        of_coroutines += t->state != NULL;
    sl_log(NULL, SL_INFO, "wsgi: %zu thread states, %zu of them of coroutines", all, of_coroutines);
}

void tstate_clear(void)
{
    PyThreadState *main;

    log_counters();
    main = PyThreadState_Get();
    gil_give();
    for (struct thread *t = threads; t; t = t->next)
        if (t->state)
            thread_delete_state(t);
    gil_take(main);
}
