/*
 * rwlock.c: read-write locks, which park like mutexes: a library may park while it holds one.
 *
 * An unlock wakes all coroutines that wait, since several readers may enter. libc stores which OS thread writes: to
 * tell it that it would wait for itself, and to know in an unlock who unlocks. All coroutines share that thread, so
 * while one of them writes, the field has a number that stands for it, as in mutex.c.
 */
#include <limits.h>

#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/identity.h"
#include "libc/runtime/timespec.h"
#include "libc/sync/owner.h"
#include "libc/sync/parking.h"

static int rwlock_try_read(void *lock)
{
    return real()->pthread_rwlock_tryrdlock(lock);
}

static int rwlock_try_write(void *arg)
{
    pthread_rwlock_t *lock = arg;
    int result = real()->pthread_rwlock_trywrlock(lock);

    if (result == 0)
        lock->__data.__cur_writer = owner_of_coroutine();
    return result;
}

/* until may be NULL: no timeout. */
static int rwlock_lock(pthread_rwlock_t *lock, int (*try)(void *), clockid_t clock, const struct timespec *until)
{
    struct parking_wait wait = {.lock = lock, .try = try, .clock = clock, .until = until};
    int result;

    if (until && !timespec_is_point(until))
        return EINVAL;
    if (lock->__data.__cur_writer == owner_of_coroutine())
        return EDEADLK;
    result = try(lock);
    if (result == EBUSY && coro_guest && !until)
        result = parking_linger(&wait);
    if (result != EBUSY)
        return result;
    if (!park_possible())
        return try == rwlock_try_read ? real()->pthread_rwlock_rdlock(lock) : real()->pthread_rwlock_wrlock(lock);
    wait.shared = lock->__data.__shared;
    return parking_wait(&wait);
}

static bool rwlock_knows_clock(clockid_t clock)
{
    return clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME;
}

/* ---- reading ---- */

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    if (!coro_here() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_rdlock(lock);
    return rwlock_lock(lock, rwlock_try_read, CLOCK_REALTIME, NULL);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    if (!coro_here() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_timedrdlock(lock, until);
    return rwlock_lock(lock, rwlock_try_read, CLOCK_REALTIME, until);
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
    if (!coro_here() || caller_kind() != CALLER_OTHER || !rwlock_knows_clock(clock))
        return real()->pthread_rwlock_clockrdlock(lock, clock, until);
    return rwlock_lock(lock, rwlock_try_read, clock, until);
}

/* ---- writing ---- */

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    if (!coro_here() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_wrlock(lock);
    return rwlock_lock(lock, rwlock_try_write, CLOCK_REALTIME, NULL);
}

int pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
    if (!coro_here() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_trywrlock(lock);
    return rwlock_try_write(lock);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    if (!coro_here() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_timedwrlock(lock, until);
    return rwlock_lock(lock, rwlock_try_write, CLOCK_REALTIME, until);
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
    if (!coro_here() || caller_kind() != CALLER_OTHER || !rwlock_knows_clock(clock))
        return real()->pthread_rwlock_clockwrlock(lock, clock, until);
    return rwlock_lock(lock, rwlock_try_write, clock, until);
}

/* ---- both ---- */

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    int result;

    if (owner_is_coroutine(lock->__data.__cur_writer)) /* libc compares it with the calling thread */
        lock->__data.__cur_writer = identity_tid_here();
    result = real()->pthread_rwlock_unlock(lock);
    parking_wake(lock, INT_MAX);
    return result;
}
