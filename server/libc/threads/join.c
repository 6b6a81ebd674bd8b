/*
 * join.c: pthread_join and the like, and pthread_detach, on a coroutine.
 *
 * When a thread has ended the kernel wakes who waits in the kernel, and notifies nobody else. So a coroutine that joins
 * a thread looks after pauses of at most 32 ms. CPython up to 3.12 does not call pthread_join: it waits for a lock.
 * A coroutine can be joined and detached if it is a thread of the runtime (create.c), and else not: whoever waits for
 * it waits for something that its function does.
 */
#include "base/real.h"
#include "libc/runtime/identity.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"
#include "libc/threads/threads.h"

/* Whether libc is to wait: outside of coroutines, and for its own OS thread, where it says EDEADLK. */
static bool join_is_plain(pthread_t thread)
{
    return !coro_self() || thread == real()->pthread_self() || !park_possible();
}

static int join_until(pthread_t thread, void **value, int64_t deadline)
{
    struct park_backoff backoff = {0};
    int result;

    while ((result = real()->pthread_tryjoin_np(thread, value)) == EBUSY) {
        int waited = park_backoff_for(FOR_THREAD, -1, &backoff, deadline);

        if (waited == -ETIMEDOUT)
            return ETIMEDOUT;
        park_ignore(waited); /* a join cannot fail otherwise */
    }
    return result;
}

/* Returns the error of a call for a coroutine: one that is no thread of the runtime cannot be joined. */
static int join_error(int error)
{
    return error == ESRCH ? EINVAL : error;
}

int pthread_join(pthread_t thread, void **value)
{
    if (identity_is_coroutine(thread))
        return join_error(threads_join(thread, value, CLOCK_MONOTONIC, NULL));
    return join_is_plain(thread) ? real()->pthread_join(thread, value) : join_until(thread, value, WAIT_FOREVER);
}

int pthread_tryjoin_np(pthread_t thread, void **value)
{
    return identity_is_coroutine(thread) ? join_error(threads_try_join(thread, value))
                                         : real()->pthread_tryjoin_np(thread, value);
}

int pthread_clockjoin_np(pthread_t thread, void **value, clockid_t clock, const struct timespec *until)
{
    if (identity_is_coroutine(thread) && (clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME))
        return join_error(threads_join(thread, value, clock, until));
    if (identity_is_coroutine(thread))
        return EINVAL;
    if (join_is_plain(thread))
        return real()->pthread_clockjoin_np(thread, value, clock, until);
    if (!until)
        return join_until(thread, value, WAIT_FOREVER);
    if (!timespec_is_point(until) || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
        return EINVAL; /* where libc tries again for ever */
    return join_until(thread, value, timespec_deadline_at(clock, until));
}

int pthread_timedjoin_np(pthread_t thread, void **value, const struct timespec *until)
{
    return pthread_clockjoin_np(thread, value, CLOCK_REALTIME, until);
}

int pthread_detach(pthread_t thread)
{
    return identity_is_coroutine(thread) ? join_error(threads_detach(thread)) : real()->pthread_detach(thread);
}
