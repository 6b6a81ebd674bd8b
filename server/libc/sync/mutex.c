/*
 * mutex.c: pthread_mutex_lock, trylock, timedlock, clocklock, unlock and consistent.
 *
 * A library may park while it holds a mutex that another coroutine then wants. So a contended lock parks, and every
 * unlock wakes the parking lot. Calls by a runtime or by libuv (caller.h) are for the OS thread, and pass through.
 *
 * A recursive or error-checking mutex stores the id of the OS thread that owns it. All coroutines share that thread, so
 * a second one would be let in as the owner. While a coroutine holds such a mutex, the id is therefore replaced by a
 * number that stands for the coroutine and that no thread can have. The fields that are used for this are part of
 * libc's ABI, because its static initialisers contain them.
 *
 * A coroutine that is away upon another thread is the owner there as well, and comes home when it would wait for more
 * than a moment. Mutexes that the kernel knows by the OS thread bring it home in any case.
 *
 * Robust mutexes and those with priority inheritance have the id in the lock word too. The kernel reads it there, so it
 * stays, and we look at it before libc does. While the data of a robust mutex is inconsistent libc needs the owner's
 * field for that: until pthread_mutex_consistent nobody, not even the owner, can lock it again. When a thread ends that
 * owns one the kernel wakes those that wait in the kernel, so coroutines look again after pauses. When a coroutine ends
 * that owns one, robust.c does what the kernel does.
 */
#include "libc/sync/mutex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>

#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/identity.h"
#include "libc/runtime/timespec.h"
#include "libc/sync/owner.h"
#include "libc/sync/parking.h"
#include "libc/sync/robust.h"

/* ---- owners ---- */

static bool mutex_knows_owner(const pthread_mutex_t *mutex)
{
    int type = mutex->__data.__kind & MUTEX_TYPE;

    return type == PTHREAD_MUTEX_RECURSIVE || type == PTHREAD_MUTEX_ERRORCHECK;
}

static bool mutex_is_mine(const pthread_mutex_t *mutex)
{
    return mutex_knows_owner(mutex) && mutex->__data.__owner == owner_of_coroutine();
}

/* Whether libc would take the caller for the owner because of the lock word. */
static bool mutex_word_is_ours(const pthread_mutex_t *mutex)
{
    return mutex->__data.__kind & (MUTEX_ROBUST | MUTEX_INHERITS) && mutex_knows_owner(mutex) &&
           (mutex->__data.__lock & FUTEX_TID_MASK) == identity_tid_here();
}

static int mutex_lock_again(pthread_mutex_t *mutex, int otherwise)
{
    if ((mutex->__data.__kind & MUTEX_TYPE) != PTHREAD_MUTEX_RECURSIVE)
        return otherwise;
    if (mutex->__data.__count == UINT_MAX)
        return EAGAIN;
    mutex->__data.__count++;
    return 0;
}

static int mutex_try(void *arg)
{
    pthread_mutex_t *mutex = arg;
    int result;

    if (mutex_word_is_ours(mutex)) /* another coroutine */
        return EBUSY;
    result = real()->pthread_mutex_trylock(mutex);
    if (result == 0 && mutex_knows_owner(mutex))
        mutex->__data.__owner = owner_of_coroutine();
    if (mutex->__data.__kind & MUTEX_ROBUST && (result == 0 || result == EOWNERDEAD))
        robust_locked(mutex);
    return result;
}

static int mutex_unlock_mine(pthread_mutex_t *mutex)
{
    bool last = mutex->__data.__count <= 1;
    int result;

    mutex->__data.__owner = identity_tid_here();
    result = real()->pthread_mutex_unlock(mutex);
    if (!last)
        mutex->__data.__owner = owner_of_coroutine();
    return result;
}

/* ---- on a coroutine ---- */

int mutex_lock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    struct parking_wait wait = {.lock = mutex, .try = mutex_try, .clock = clock, .until = until};
    int result;

    if (mutex_is_mine(mutex))
        return mutex_lock_again(mutex, EDEADLK);
    result = mutex_try(mutex);
    if (result == EBUSY && coro_guest && !until)
        result = parking_linger(&wait);
    if (result != EBUSY)
        return result;
    if (!park_possible())
        return real()->pthread_mutex_lock(mutex);
    if (until && !timespec_is_point(until))
        return EINVAL; /* an error only if the mutex is not free */
    wait.shared = mutex->__data.__kind & (MUTEX_SHARED | MUTEX_ROBUST);
    return parking_wait(&wait);
}

/* One that the kernel knows by the OS thread is locked and unlocked on the loop's. */
static void mutex_goes_home(const pthread_mutex_t *mutex)
{
    if (mutex->__data.__kind & (MUTEX_ROBUST | MUTEX_INHERITS | MUTEX_PROTECTS))
        coro_at_home();
}

/* Whether it is robust, and free after the next unlock. */
static bool mutex_robust_ends(const pthread_mutex_t *mutex)
{
    return mutex->__data.__kind & MUTEX_ROBUST &&
           ((mutex->__data.__kind & MUTEX_TYPE) != PTHREAD_MUTEX_RECURSIVE || mutex->__data.__count <= 1);
}

int mutex_unlock(pthread_mutex_t *mutex)
{
    bool robust = mutex_robust_ends(mutex) && coro_self(), mine;
    int result;

    mutex_goes_home(mutex);
    mine = coro_here() && mutex_is_mine(mutex);
    result = mine ? mutex_unlock_mine(mutex) : real()->pthread_mutex_unlock(mutex);

    if (robust && result == 0)
        robust_unlocked(mutex);
    parking_wake(mutex, 1);
    return result;
}

/* ---- the calls ---- */

static bool mutex_passes(const pthread_mutex_t *mutex)
{
    mutex_goes_home(mutex);
    return !coro_here();
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (mutex_passes(mutex) || caller_kind() != CALLER_OTHER)
        return real()->pthread_mutex_lock(mutex);
    return mutex_lock(mutex, CLOCK_REALTIME, NULL);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (mutex_passes(mutex) || caller_kind() != CALLER_OTHER)
        return real()->pthread_mutex_trylock(mutex);
    if (!mutex_is_mine(mutex))
        return mutex_try(mutex);
    return mutex_lock_again(mutex,
                            mutex->__data.__kind & (MUTEX_ROBUST | MUTEX_INHERITS | MUTEX_PROTECTS) ? EDEADLK : EBUSY);
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    if (mutex_passes(mutex) || caller_kind() != CALLER_OTHER)
        return real()->pthread_mutex_timedlock(mutex, until);
    return mutex_lock(mutex, CLOCK_REALTIME, until);
}

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    if (mutex_passes(mutex) || caller_kind() != CALLER_OTHER || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
        return real()->pthread_mutex_clocklock(mutex, clock, until);
    return mutex_lock(mutex, clock, until);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (caller_kind() != CALLER_OTHER)
        return real()->pthread_mutex_unlock(mutex);
    return mutex_unlock(mutex);
}

/* libc makes the OS thread the owner again. */
int pthread_mutex_consistent(pthread_mutex_t *mutex)
{
    int result = real()->pthread_mutex_consistent(mutex);

    if (result == 0 && coro_here() && mutex_knows_owner(mutex))
        mutex->__data.__owner = owner_of_coroutine();
    return result;
}
