/*
 * deadline_watchdog.c: raises an exception in requests that compute past their request-timeout.
 *
 * They do not wait, so the exceptions of request_cancel.c do not reach them. If they are preempted, that notices it a
 * second later. If they block the event loop (C code, or time-slice = 0), the server's watchdog (watchdog-timeout) has
 * their stack dumped, by a signal that interrupts their code. In both cases the request is noted here, and a thread is
 * woken. It takes the GIL as any thread does, from between two instructions of the request, and has CPython raise the
 * exception. Unlike the exceptions of request_cancel.c this one may strike anywhere, in a finally block too: it is only
 * for requests that cannot be reached otherwise.
 */
#include "request/deadline_watchdog.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interp/cpython.h"
#include "request/exchange.h"
#include "request/request_cancel.h"
#include "syncless.h"
#include "syncless/runtime.h"
#include "threads/interrupt.h"
#include "threads/tstate.h"

#define STACK_SIZE (1024 * 1024) /* bytes */

static atomic_uint noted;     /* how many requests were noted; the futex that the thread waits for */
static atomic_ulong identity; /* of the Python thread of the last one */

static void wake_deadline_watchdog(unsigned long id)
{
    atomic_store(&identity, id);
    atomic_fetch_add(&noted, 1);
    syscall(SYS_futex, &noted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* In a signal handler on the request's coroutine. */
static void note_blocking(const struct exchange *x, unsigned long id)
{
    if (exchange_is_overdue(x))
        wake_deadline_watchdog(id);
}

void deadline_watchdog_note(struct exchange *x)
{
    interrupt_unsend(x->interrupt);
    x->quiet_until = 0;
    wake_deadline_watchdog(tstate_identity(x->interrupt));
}

/* The GIL is held, so the request cannot end meanwhile; but it may have ended before. */
static void raise_if_overdue(unsigned long id)
{
    struct exchange *x = tstate_find(id);

    if (x && exchange_is_overdue(x) && request_cancel_begin(x))
        PyThreadState_SetAsyncExc(id, request_cancel_timeout_type());
}

static void *deadline_watchdog_run(void *arg)
{
    unsigned seen = 0;

    syscall(SYS_close_range, 0U, ~0U, 1U << 1); /* a descriptor table of its own, empty, as server/worker/watchdog.c */
    for (;;) {
        PyGILState_STATE gil;

        while (atomic_load(&noted) == seen)
            syscall(SYS_futex, &noted, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        seen = atomic_load(&noted);
        gil = PyGILState_Ensure();
        raise_if_overdue(atomic_load(&identity));
        PyGILState_Release(gil);
    }
    return NULL;
}

/* Not inlined, so that a request that waits does not have the sets in its frame. */
__attribute__((noinline)) void deadline_watchdog_start(void)
{
    static bool started;
    int err;

    if (started)
        return;
    started = true; /* if it fails too: one warning is enough */
    err = sl_thread_start(deadline_watchdog_run, NULL, STACK_SIZE);
    if (err < 0) {
        sl_log(NULL, SL_WARN, "wsgi: cannot end requests that compute past their request-timeout: no thread: %s",
               strerror(-err));
        return;
    }
    tstate_on_blocking(note_blocking);
}
