/* parking.h: libc's synchronisation objects and the parking lot for coroutines (wait_addr). */
#ifndef LIBC_PARKING_H
#define LIBC_PARKING_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libc/runtime/park.h"

/* Something that can be tried, as pthread_mutex_trylock can. */
struct parking_wait {
    void *object;
    int (*try)(void *object); /* 0, EBUSY or another error number */
    int64_t deadline;
    bool shared;      /* other processes may release it, who do not know of our lot */
    bool interrupted; /* a cancellation or a signal ends the wait; otherwise it goes on */
};

/* Try until that gives anything but EBUSY, parking in between. Returns what it gave, ETIMEDOUT, or EINTR if the coroutine
 * is cancelled, whatever the code: callers know no other error, and would believe that they have the lock. */
int parking_wait(const struct parking_wait *wait);

void parking_wake_slow(const void *object, int count);

/* The object has been released: wake up to count coroutines that wait for it. The fence orders the release before the
 * look at who waits; who waits enters the lot before his last try. */
static inline void parking_wake(const void *object, int count)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&wait_addr_waiters, memory_order_relaxed) > 0)
        parking_wake_slow(object, count);
}

#endif
