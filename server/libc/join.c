/*
 * join.c: pthread_join on a coroutine.
 *
 * Nobody but the kernel knows when a thread has ended, and it tells only who waits in the kernel. So the coroutine
 * looks after pauses of at most 32 ms. CPython up to 3.12 does not come here: its threads are joined by a lock.
 */
#include "libc/park.h"
#include "libc/real.h"

int pthread_join(pthread_t thread, void **value)
{
    struct park_backoff backoff = {0};
    int result;

    if (!coro_self() || thread == real()->pthread_self() || !park_possible())
        return real()->pthread_join(thread, value); /* its own thread: EDEADLK at once */
    while ((result = pthread_tryjoin_np(thread, value)) == EBUSY)
        park_backoff(&backoff, WAIT_FOREVER); /* whoever would end this wait: a join has no error for that */
    return result;
}
