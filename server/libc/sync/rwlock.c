/*
 * rwlock.c: read-write locks, which park like mutexes: a library may park while it holds one.
 *
 * An unlock wakes all coroutines that wait, since several readers may enter. libc stores which OS thread writes, the
 * same one for all coroutines. That does no harm: only its blocking calls read it, and a coroutine makes none.
 */
#include <limits.h>

#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/timespec.h"
#include "libc/sync/parking.h"

static int rwlock_try_read(void *lock)
{
    return pthread_rwlock_tryrdlock(lock);
}

static int rwlock_try_write(void *lock)
{
    return pthread_rwlock_trywrlock(lock);
}

/* until may be NULL: no timeout. */
static int rwlock_lock_until(pthread_rwlock_t *lock, int (*try)(void *), clockid_t clock, const struct timespec *until)
{
    struct parking_wait wait = {.lock = lock, .try = try, .deadline = WAIT_FOREVER, .shared = lock->__data.__shared};
    int result = try(lock);

    if (result != EBUSY)
        return result;
    if (!park_possible())
        return try == rwlock_try_read ? real()->pthread_rwlock_rdlock(lock) : real()->pthread_rwlock_wrlock(lock);
    if (until && !timespec_is_point(until))
        return EINVAL;
    if (until)
        wait.deadline = timespec_deadline_at(clock, until);
    return parking_wait(&wait);
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_rdlock(lock);
    return rwlock_lock_until(lock, rwlock_try_read, CLOCK_MONOTONIC, NULL);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_wrlock(lock);
    return rwlock_lock_until(lock, rwlock_try_write, CLOCK_MONOTONIC, NULL);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_timedrdlock(lock, until);
    return rwlock_lock_until(lock, rwlock_try_read, CLOCK_REALTIME, until);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER)
        return real()->pthread_rwlock_timedwrlock(lock, until);
    return rwlock_lock_until(lock, rwlock_try_write, CLOCK_REALTIME, until);
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    int result = real()->pthread_rwlock_unlock(lock);

    parking_wake(lock, INT_MAX);
    return result;
}
