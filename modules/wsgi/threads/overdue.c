/*
 * overdue.c: requests that compute past their request-timeout.
 *
 * They hold the loop, so nobody on it can tell them anything. But the server's watchdog (hog-limit) asks where they
 * are, by a signal upon their very code. Here the request is noted then, and a thread is woken, which takes the GIL as
 * any thread does, from between two of their instructions, and has CPython raise the exception. Unlike the one of
 * interrupt.c this may strike anywhere, in a finally block too: it is for those who cannot be reached otherwise.
 */
#include "threads/overdue.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "request/exchange.h"
#include "threads/interrupt.h"
#include "threads/tstate.h"

static struct {
    atomic_uint noted;     /* how often; what the thread sleeps on */
    atomic_ulong identity; /* of the Python thread that was noted last */
    bool running;
} overdue;

void overdue_note(const struct exchange *x, unsigned long identity)
{
    if (!overdue.running || !x->req->deadline || interrupt_now() < x->req->deadline)
        return;
    atomic_store(&overdue.identity, identity);
    atomic_fetch_add(&overdue.noted, 1);
    syscall(SYS_futex, &overdue.noted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* With the GIL, so nothing changes meanwhile: is it still so? */
static void raise_in(unsigned long identity)
{
    struct exchange *x = tstate_find(identity);

    if (x && x->req->deadline && interrupt_now() >= x->req->deadline && interrupt_begin(x))
        PyThreadState_SetAsyncExc(identity, interrupt_timeout());
}

static void *run(void *arg)
{
    unsigned seen = 0;

    syscall(SYS_close_range, 0U, ~0U, 1U << 1); /* descriptors of its own, none, as server/hog.c */
    for (;;) {
        PyGILState_STATE gil;

        while (atomic_load(&overdue.noted) == seen)
            syscall(SYS_futex, &overdue.noted, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        seen = atomic_load(&overdue.noted);
        gil = PyGILState_Ensure();
        raise_in(atomic_load(&overdue.identity));
        PyGILState_Release(gil);
    }
    return NULL;
}

void overdue_watch(void)
{
    sigset_t all, before;
    pthread_t thread;
    int err;

    if (overdue.running)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err)
        sl_log(NULL, SL_WARN, "wsgi: requests that compute past their request-timeout go on: no thread: %s",
               strerror(err));
    else
        pthread_detach(thread);
    overdue.running = true; /* also if there is none: once is enough */
}
