/*
 * spin.c: pthread_spin_lock and unlock.
 *
 * Who holds a spin lock is expected to release it soon. An OS thread does so while we spin; another coroutine can only
 * while we park. Whether other processes share the lock is stored nowhere, so it is also tried after short pauses.
 */
#include "base/real.h"
#include "libc/sync/parking.h"

#define MAX_SPINS 200

static int spin_try(void *lock)
{
    return real()->pthread_spin_trylock(lock);
}

int pthread_spin_lock(pthread_spinlock_t *lock)
{
    struct parking_wait wait = {.lock = (void *)lock, .try = spin_try, .shared = true};

    if (!coro_here())
        return real()->pthread_spin_lock(lock);
    for (int i = 0; i < MAX_SPINS; i++)
        if (real()->pthread_spin_trylock(lock) == 0)
            return 0;
    return park_possible() ? parking_wait(&wait) : real()->pthread_spin_lock(lock);
}

int pthread_spin_unlock(pthread_spinlock_t *lock)
{
    int result = real()->pthread_spin_unlock(lock);

    parking_wake((const void *)lock, 1);
    return result;
}
