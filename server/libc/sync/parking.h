/* parking.h: waiting for libc's locks in the parking lot of coroutines (wait_addr). "Lock" means semaphores, mutexes,
 * conditions and read-write locks here. */
#ifndef LIBC_PARKING_H
#define LIBC_PARKING_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "libc/runtime/park.h"

/* A lock that can be tried, as pthread_mutex_trylock does. */
struct parking_wait {
    void *lock;
    int (*try)(void *lock);       /* returns 0, EBUSY or another error number */
    const struct timespec *until; /* a point in time of clock; NULL: for ever */
    clockid_t clock;
    bool shared;      /* somebody may release it who does not wake our coroutines, such as another process */
    bool interrupted; /* a cancellation or a signal ends the wait; otherwise it goes on */
};

/* Try until the result is not EBUSY, and park between the tries. Returns that result, ETIMEDOUT, or EINTR if the
 * coroutine is cancelled, whatever the code: callers know no other error, and would believe that they have the lock. */
int parking_wait(const struct parking_wait *wait);

/* For a coroutine that is away, and has tried once: try again for a little. Most locks are held for less time than it
 * takes to come home, and what comes home goes on there, before all others. Returns the result of the last try. */
int parking_linger(const struct parking_wait *wait);

void parking_wake_slow(const void *lock, int count);

/* The lock has been released: wake up to count coroutines that wait for it. A coroutine enters the lot before its last
 * try. The fence orders the release before the read of the number of waiters, so that no wake-up is lost. */
static inline void parking_wake(const void *lock, int count)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&wait_addr_waiters, memory_order_relaxed) > 0)
        parking_wake_slow(lock, count);
}

#endif
