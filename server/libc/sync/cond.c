/*
 * cond.c: pthread_cond_wait and its relations.
 *
 * A coroutine that waits for a condition is not one of libc's waiters: it only stands in the parking lot, which it
 * enters before it lets go of the mutex, so that no signal is lost. A signal goes to libc's waiters, which are OS
 * threads, and to the lot; one too many may wake up, which conditions allow. For a runtime's own conditions see
 * mutex.c.
 */
#include <limits.h>

#include "libc/sync/parking.h"
#include "libc/sync/mutex.h"
#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/timespec.h"

/* Bits of a condition that pthread_cond_init sets and no later libc can move, since both sides may be in use at once.
 */
#define SHARED    1
#define MONOTONIC 2

#define SHARED_PAUSE INT64_C(5000000) /* a signal from another process does not reach us: wake up and let them look */

static int cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
    struct wait_addr place;
    int64_t end = deadline;
    int result;

    if (cond->__data.__wrefs & SHARED && deadline > wait_now() + SHARED_PAUSE)
        end = wait_now() + SHARED_PAUSE;
    wait_addr_enter(&place, cond);
    result = mutex_unlock(mutex);
    if (result != 0) {
        wait_addr_leave(&place);
        return result;
    }
    result = wait_addr_park_cancellable(&place, end); /* cancelled: a spurious wake-up */
    coro_self()->as_main = false;
    mutex_lock(mutex, WAIT_FOREVER);
    return result == -ETIMEDOUT && end == deadline ? ETIMEDOUT : 0;
}

static int cond_timed_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    if (!timespec_is_point(until))
        return EINVAL;
    return cond_wait_until(cond, mutex, timespec_deadline_at(clock, until));
}

/* ---- the calls ---- */

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER || !park_possible())
        return real()->pthread_cond_wait(cond, mutex);
    return cond_wait_until(cond, mutex, WAIT_FOREVER);
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER || !park_possible())
        return real()->pthread_cond_timedwait(cond, mutex, until);
    return cond_timed_wait(cond, mutex, cond->__data.__wrefs & MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME, until);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) ||
        !park_possible())
        return real()->pthread_cond_clockwait(cond, mutex, clock, until);
    return cond_timed_wait(cond, mutex, clock, until);
}

int pthread_cond_signal(pthread_cond_t *cond)
{
    int result = real()->pthread_cond_signal(cond);

    parking_wake(cond, 1);
    return result;
}

int pthread_cond_broadcast(pthread_cond_t *cond)
{
    int result = real()->pthread_cond_broadcast(cond);

    parking_wake(cond, INT_MAX);
    return result;
}
