/*
 * parking.c: waiting for libc's locks in the parking lot of coroutines.
 *
 * Semaphores, mutexes and so on remain libc's own in every field, so that OS threads and coroutines can contend for the
 * same lock. A coroutine never waits in libc: it tries, and parks in the lot while that fails. Every release wakes the
 * lot. Locks that may be released without that are also tried again after short pauses. A clock may be set while a
 * coroutine waits, so it is looked at again when the time is over.
 */
#include "libc/sync/parking.h"

#include "base/real.h"
#include "libc/runtime/timespec.h"

#define LINGER_TRIES 100
#define LINGER_NAPS  20
#define LINGER_NAP   50000 /* nanoseconds, and as much again by the kernel's slack */

static int64_t parking_deadline(const struct parking_wait *wait)
{
    return wait->until ? timespec_deadline_at(wait->clock, wait->until) : WAIT_FOREVER;
}

static int parking_park(struct wait_addr *place, const struct parking_wait *wait, struct park_backoff *backoff)
{
    int64_t deadline = parking_deadline(wait), end = wait->shared ? park_backoff_end(backoff, deadline) : deadline;
    int result = wait->interrupted ? wait_addr_park_cancellable(place, end) : wait_addr_park(place, end);

    return result == -ETIMEDOUT && parking_deadline(wait) > wait_now() ? 0 : result;
}

int parking_wait(const struct parking_wait *wait)
{
    struct park_backoff backoff = {0};
    struct wait_addr place;
    int result;

    for (;;) {
        wait_addr_enter(&place, wait->lock);
        result = wait->try(wait->lock);
        if (result != EBUSY) {
            wait_addr_leave(&place);
            return result;
        }
        result = parking_park(&place, wait, &backoff);
        if (result == -ETIMEDOUT)
            return ETIMEDOUT;
        if (result < 0 && !park_restarts(result))
            return EINTR;
    }
}

int parking_linger(const struct parking_wait *wait)
{
    struct timespec nap = {.tv_nsec = LINGER_NAP};
    int result = EBUSY;

    for (int i = 0; i < LINGER_TRIES && result == EBUSY; i++) {
        real()->sched_yield();
        result = wait->try(wait->lock);
    }
    for (int i = 0; i < LINGER_NAPS && result == EBUSY; i++) { /* who holds it may not be running */
        real()->nanosleep(&nap, NULL);
        result = wait->try(wait->lock);
    }
    return result;
}

void parking_wake_slow(const void *lock, int count)
{
    int saved = errno;

    wait_addr_wake(lock, count);
    errno = saved;
}
