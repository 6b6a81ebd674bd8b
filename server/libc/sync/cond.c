/*
 * cond.c: pthread_cond_wait, timedwait, clockwait, signal and broadcast.
 *
 * To libc a coroutine is not a waiter of the condition: it is in the parking lot only, which it enters before it
 * unlocks the mutex, so that no signal is lost. A signal wakes one of libc's waiters, which are OS threads, and one in
 * the lot. That may be one too many, which conditions allow. Calls by a runtime or by libuv pass through, as in
 * mutex.c.
 *
 * But CPython calls pthread_cond_wait when it has let go of the GIL on request, to see another thread have it. There a
 * coroutine that has used up its slice lets others run (sl_preempt); the mutex is unlocked meanwhile. If it was we who
 * asked, nobody may want the GIL, so that wait returns at once. And it does not last for ever in any case: another
 * thread than the one that was meant may have found our request, and we cannot tell it from that of a thread. A
 * coroutine that waits to take the GIL does not let others run: if an OS thread never lets go of it, no request is
 * served, and the worker must be seen to be stuck.
 */
#include <limits.h>

#include "base/array.h"
#include "base/events.h"
#include "base/real.h"
#include "coro/recorder.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/timespec.h"
#include "libc/sync/mutex.h"
#include "libc/sync/parking.h"

/* Bits of __wrefs. Old and new programs may share a condition, so no libc can move them. */
#define SHARED    1
#define MONOTONIC 2

/* The wait on a shared condition, in nanoseconds: signals of other processes do not wake the lot, so the caller wakes
 * up and looks. */
#define SHARED_PAUSE INT64_C(5000000)

static int cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    int64_t deadline = until ? timespec_deadline_at(clock, until) : WAIT_FOREVER, end = deadline;
    struct wait_addr place;
    int result, err;

    if (cond->__data.__wrefs & SHARED && deadline > wait_now() + SHARED_PAUSE)
        end = wait_now() + SHARED_PAUSE;
    wait_addr_enter(&place, cond);
    result = mutex_unlock(mutex);
    if (result != 0) {
        wait_addr_leave(&place);
        return result;
    }
    result = wait_addr_park_cancellable(&place, end); /* cancelled: a spurious wake-up */
    park_ignore(result);
    err = mutex_lock(mutex, CLOCK_REALTIME, NULL);
    if (err)
        return err; /* EOWNERDEAD */
    return result == -ETIMEDOUT && until && timespec_deadline_at(clock, until) <= wait_now() ? ETIMEDOUT : 0;
}

static int cond_timed_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    return timespec_is_point(until) ? cond_wait_until(cond, mutex, clock, until) : EINVAL;
}

/* ---- the lock of a runtime ---- */

/* The wait of a runtime that has let go of its lock on request, in nanoseconds. */
#define RUNTIME_PAUSE INT64_C(5000000)

/* If the coroutine has used up its slice it lets others run, and true is returned. */
static bool runtime_gives_way(pthread_mutex_t *mutex)
{
    if (!coro_self() || !slice_is_mine() || coro_holds_runtime() || !park_possible_for_child())
        return false;
    real()->pthread_mutex_unlock(mutex);
    coro_yield_late();
    real()->pthread_mutex_lock(mutex);
    return true;
}

static int runtime_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    bool asked = slice_take_asked();
    struct timespec until;
    int result;

    if (runtime_gives_way(mutex) || asked)
        return 0;
    if (!atomic_load_explicit(&slice.preempts, memory_order_relaxed))
        return real()->pthread_cond_wait(cond, mutex);
    until = timespec_of_ns(wait_now() + RUNTIME_PAUSE);
    result = real()->pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &until);
    return result == ETIMEDOUT ? 0 : result;
}

/* A coroutine waits for the lock: the flight recorder has it, and it is counted. */
static int runtime_timed_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    int64_t began = wait_now(), waited;
    int result = real()->pthread_cond_timedwait(cond, mutex, until);

    waited = wait_now() - began;
    event_count(EVENT_LOCK_WAIT, 1);
    event_count(EVENT_LOCK_WAIT_TIME, (uint64_t)waited);
    record_note(RECORD_GIL, coro_current, (uint32_t)min_int64(waited / 1000, RECORD_MAX_VALUE));
    return result;
}

/* ---- the calls ---- */

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (caller_kind() == CALLER_RUNTIME)
        return runtime_wait(cond, mutex);
    if (!coro_self() || caller_kind() != CALLER_OTHER || !park_possible())
        return real()->pthread_cond_wait(cond, mutex);
    return cond_wait_until(cond, mutex, CLOCK_REALTIME, NULL);
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (!coro_self())
        return real()->pthread_cond_timedwait(cond, mutex, until);
    if (caller_kind() == CALLER_RUNTIME)
        return runtime_timed_wait(cond, mutex, until);
    if (caller_kind() != CALLER_OTHER || !park_possible())
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
