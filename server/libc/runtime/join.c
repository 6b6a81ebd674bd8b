/*
 * join.c: pthread_join and pthread_exit on a coroutine.
 *
 * There is no thread to be ended by pthread_exit, and the coroutine's frames are in use by those who called: it stays
 * parked for good. CPython ends its threads so that come back when the interpreter is being taken apart.
 *
 * As for join, nobody but the kernel knows when a thread has ended, and it tells only who waits in the kernel. So the
 * coroutine looks after pauses of at most 32 ms. CPython up to 3.12 does not come here: its threads are joined by a
 * lock.
 */
#include "libc/runtime/park.h"
#include "base/real.h"

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

void pthread_exit(void *value)
{
    if (!coro_self())
        real()->pthread_exit(value);
    for (;;)
        coro_park();
}
