/*
 * wait_cancel.c: cancellation: the waits of a coroutine fail until that is cleared.
 *
 * It is a level and not an edge, as in libdill and trio: it cannot be lost between two waits, and nobody has to repeat
 * it for a coroutine that waits again to clean up, or because a library tries again after an error.
 *
 * A coroutine that ignores it must not block the loop. Each wait that fails lets the others run first, and after
 * MAX_QUICK failures it takes a pause.
 *
 * Locks are special. Code that waits for a mutex cannot handle a failure, so that wait goes on (wait_addr_park). A wait
 * on a semaphore fails once; code that then waits for the same one needs it, and gets it. Otherwise the loop around
 * sem_wait that ignores EINTR, which CPython has for its internal locks, would spin until the lock is free. And one
 * that was released before the coroutine runs again is taken: CPython 3.14 hands locks over to who waits, and the
 * exception would be raised before its `with` block is entered, which then never releases the lock.
 */
#include "wait/wait.h"

#include <errno.h>
#include <limits.h>

#include "wait/loop.h"

#define MAX_QUICK 100               /* failures without a pause */
#define PAUSE     INT64_C(10000000) /* nanoseconds */
#define CANCELLED INT_MIN           /* the result of a park that wait_cancel has ended */

/* A wait of a cancelled coroutine does not begin: let the others run. */
static void cancel_give_way(struct coro *co)
{
    if (co->cancel.failures++ < MAX_QUICK)
        coro_yield();
    else
        timer_park(wait_deadline(PAUSE));
}

/* Returns what a wait fails with. */
static int cancel_result(struct coro *co, const void *lock)
{
    int code = co->cancel.code;

    if (!code) /* cleared since the coroutine was woken: as if a signal handler had run */
        return -EINTR;
    co->cancel.lock = lock;
    if (code == -EINTR && !lock) {
        if (co->cancel.interrupted)
            code = -ECANCELED;
        co->cancel.interrupted = !co->cancel.interrupted;
    }
    co->as_main = code == -EINTR;
    coro_tell_cancelled(co, -code);
    return code;
}

/* w: the wait if it is for a lock, else NULL. */
static int cancellable_park(struct wait_addr *w, int64_t deadline)
{
    struct coro *co = coro_self();
    const void *lock = w ? w->addr : NULL;
    int result;

    co->as_main = false;
    if (co->is_main && (result = wait_interrupt_take()))
        return result;
    if (co->cancel.code && (!lock || lock != co->cancel.lock)) {
        cancel_give_way(co);
        return w && wait_addr_is_woken(w) ? 0 : cancel_result(co, lock);
    }
    co->waiting = true;
    result = timer_park(deadline);
    co->waiting = false;
    if (result != CANCELLED)
        return result;
    if (w && wait_addr_is_woken(w))
        return 0;
    if (co->is_main && (result = wait_interrupt_take())) /* signals first here too; the cancellation stays */
        return result;
    return cancel_result(co, lock);
}

int wait_park(int64_t deadline)
{
    return cancellable_park(NULL, deadline);
}

int cancel_park_lock(struct wait_addr *w, int64_t deadline)
{
    return cancellable_park(w, deadline);
}

void wait_cancel(struct coro *co, int code)
{
    co->cancel = (struct coro_cancel){.code = code};
    if (code && co->waiting)
        coro_wake(co, CANCELLED);
}

void wait_cancel_all(int code)
{
    struct list *node;

    coro_cancel_new(code);
    list_for_each (node, coro_all()) {
        struct coro *co = list_entry(node, struct coro, all);

        if (!coro_cancel_by_hook(co))
            wait_cancel(co, code);
    }
}
