/*
 * tstate.c: one PyThreadState for each coroutine, so that to CPython a coroutine is a thread.
 *
 * A state is made on the coroutine itself, at its first request, so that it takes the coroutine's thread identity, and
 * stays with it in the pool: making and deleting one costs more than a whole request. A coroutine takes and gives the
 * GIL as a thread does, by PyEval_RestoreThread and PyEval_SaveThread, never by PyThreadState_Swap, which means
 * something else in each CPython.
 *
 * When a coroutine parks, it is mostly in a blocking call that CPython has already bracketed: its state is detached and
 * nothing is to be done. Some calls come with the GIL held: ours of sl_write, and those of extensions that never let go
 * of it. The park hook releases it then and the resume hook takes it back, so nobody has to foresee which call waits,
 * and the bridge need not give up the GIL around calls that hardly ever do.
 */
#include "bridge.h"
#include "compat.h"

#include <errno.h>
#include <stdlib.h>

struct thread {
    PyThreadState *state; /* owned; NULL after tstate_clear */
    struct exchange *x;   /* the request it serves, or NULL */
    bool held;            /* it held the GIL when it parked */
    struct thread *next;  /* in the list of all */
    struct thread **link; /* what points at it there */
};

static int key = -1;
static struct thread *threads;

static void thread_park(void *value)
{
    struct thread *t = value;

    t->held = t->state && compat_holds_gil(t->state);
    if (t->held)
        PyEval_SaveThread();
}

static void thread_resume(void *value)
{
    struct thread *t = value;

    if (t->held)
        compat_attach(t->state);
    else if (t->state)
        compat_resume(t->state);
}

static void thread_delete_state(struct thread *t)
{
    compat_attach(t->state);
    PyThreadState_Clear(t->state);
    PyThreadState_DeleteCurrent();
    t->state = NULL;
}

static void thread_release(void *value)
{
    struct thread *t = value;

    if (t->state)
        thread_delete_state(t);
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    free(t);
}

static const struct sl_local hooks = {.park = thread_park, .resume = thread_resume, .release = thread_release};

int tstate_init(void)
{
    if (key < 0)
        key = sl_local_create(&hooks);
    return key < 0 ? key : 0;
}

static struct thread *thread_new(void)
{
    struct thread *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->state = PyThreadState_New(PyInterpreterState_Main());
    if (!t->state) {
        free(t);
        return NULL;
    }
    t->next = threads;
    t->link = &threads;
    if (threads)
        threads->link = &t->next;
    threads = t;
    sl_local_set(key, t);
    return t;
}

int tstate_enter(struct exchange *x)
{
    struct thread *t = sl_local_get(key);

    if (!t)
        t = thread_new();
    if (!t)
        return -ENOMEM;
    compat_attach(t->state);
    t->x = x;
    return 0;
}

void tstate_leave(void)
{
    struct thread *t = sl_local_get(key);

    t->x = NULL;
    PyEval_SaveThread();
}

struct exchange *tstate_exchange(void)
{
    struct thread *t = sl_local_get(key);

    return t ? t->x : NULL;
}

void tstate_clear(void)
{
    PyThreadState *main = PyEval_SaveThread();

    for (struct thread *t = threads; t; t = t->next)
        thread_delete_state(t);
    compat_attach(main);
}
