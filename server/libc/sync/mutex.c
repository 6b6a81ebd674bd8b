/*
 * mutex.c: pthread_mutex_lock, trylock, timedlock, clocklock and unlock.
 *
 * A library may park while it holds a mutex that another coroutine then wants. So a contended lock parks, and every
 * unlock wakes the parking lot. Calls by a runtime or by libuv (caller.h) are for the OS thread, and pass through.
 *
 * A recursive or error-checking mutex stores the id of the OS thread that owns it. All coroutines share that thread, so
 * a second one would be let in as the owner. While a coroutine holds such a mutex, the id is therefore replaced by a
 * number that stands for the coroutine and that no thread can have. The fields that are used for this are part of
 * libc's ABI, because its static initialisers contain them.
 */
#include "libc/sync/mutex.h"

#include <errno.h>
#include <limits.h>

#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/identity.h"
#include "libc/runtime/timespec.h"
#include "libc/sync/parking.h"

#define KIND_MASK    127 /* of __kind: recursive and so on, robust, priorities */
#define SHARED       128
#define NO_THREAD_ID 0x40000000 /* thread ids of Linux are below 2^22 */

/* ---- owners ---- */

static int coroutine_as_owner(void)
{
    return NO_THREAD_ID | (int)(coro_self()->id & (NO_THREAD_ID - 1));
}

static bool mutex_knows_owner(const pthread_mutex_t *mutex)
{
    int kind = mutex->__data.__kind & KIND_MASK;

    return kind == PTHREAD_MUTEX_RECURSIVE || kind == PTHREAD_MUTEX_ERRORCHECK;
}

static bool mutex_is_mine(const pthread_mutex_t *mutex)
{
    return mutex_knows_owner(mutex) && mutex->__data.__owner == coroutine_as_owner();
}

static int mutex_lock_again(pthread_mutex_t *mutex, int otherwise)
{
    if ((mutex->__data.__kind & KIND_MASK) != PTHREAD_MUTEX_RECURSIVE)
        return otherwise;
    if (mutex->__data.__count == UINT_MAX)
        return EAGAIN;
    mutex->__data.__count++;
    return 0;
}

static int mutex_try(void *arg)
{
    pthread_mutex_t *mutex = arg;
    int result = real()->pthread_mutex_trylock(mutex);

    if (result == 0 && mutex_knows_owner(mutex))
        mutex->__data.__owner = coroutine_as_owner();
    return result;
}

static int mutex_unlock_mine(pthread_mutex_t *mutex)
{
    bool last = mutex->__data.__count <= 1;
    int result;

    mutex->__data.__owner = identity_tid();
    result = real()->pthread_mutex_unlock(mutex);
    if (!last)
        mutex->__data.__owner = coroutine_as_owner();
    return result;
}

/* ---- on a coroutine ---- */

int mutex_lock(pthread_mutex_t *mutex, int64_t deadline)
{
    struct parking_wait wait = {.lock = mutex, .try = mutex_try, .deadline = deadline};
    int result;

    if (mutex_is_mine(mutex))
        return mutex_lock_again(mutex, EDEADLK);
    result = mutex_try(mutex);
    if (result != EBUSY)
        return result;
    if (!park_possible())
        return real()->pthread_mutex_lock(mutex);
    wait.shared = mutex->__data.__kind & SHARED;
    return parking_wait(&wait);
}

int mutex_unlock(pthread_mutex_t *mutex)
{
    int result = coro_self() && mutex_is_mine(mutex) ? mutex_unlock_mine(mutex) : real()->pthread_mutex_unlock(mutex);

    parking_wake(mutex, 1);
    return result;
}

/* ---- the calls ---- */

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER)
        return real()->pthread_mutex_lock(mutex);
    return mutex_lock(mutex, WAIT_FOREVER);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER)
        return real()->pthread_mutex_trylock(mutex);
    return mutex_is_mine(mutex) ? mutex_lock_again(mutex, EBUSY) : mutex_try(mutex);
}

/* An invalid time is an error only if the mutex is not free. */
static int mutex_lock_until(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    bool valid = timespec_is_point(until);
    int result = mutex_lock(mutex, valid ? timespec_deadline_at(clock, until) : 0);

    return result == ETIMEDOUT && !valid ? EINVAL : result;
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER)
        return real()->pthread_mutex_timedlock(mutex, until);
    return mutex_lock_until(mutex, CLOCK_REALTIME, until);
}

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    if (!coro_self() || caller_kind() != CALLER_OTHER || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
        return real()->pthread_mutex_clocklock(mutex, clock, until);
    return mutex_lock_until(mutex, clock, until);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (caller_kind() != CALLER_OTHER)
        return real()->pthread_mutex_unlock(mutex);
    return mutex_unlock(mutex);
}
