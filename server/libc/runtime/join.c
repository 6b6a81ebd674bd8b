/*
 * join.c: pthread_join and pthread_exit on a coroutine.
 *
 * When a thread has ended the kernel wakes who waits in the kernel, and notifies nobody else. So a coroutine that joins
 * a thread looks after pauses of at most 32 ms. CPython up to 3.12 does not call pthread_join: it waits for a lock.
 *
 * pthread_exit cannot end a coroutine, whose caller may have resources on its stack, and has no thread to end. So the
 * coroutine stays parked for good. CPython calls pthread_exit in threads that return while the interpreter is
 * finalizing.
 */
#include "base/real.h"
#include "libc/runtime/park.h"

int pthread_join(pthread_t thread, void **value)
{
    struct park_backoff backoff = {0};
    int result;

    if (!coro_self() || thread == real()->pthread_self() || !park_possible())
        return real()->pthread_join(thread, value); /* its own OS thread: EDEADLK */
    while ((result = pthread_tryjoin_np(thread, value)) == EBUSY)
        park_ignore(park_backoff(&backoff, WAIT_FOREVER)); /* a join cannot fail */
    return result;
}

void pthread_exit(void *value)
{
    if (!coro_self())
        real()->pthread_exit(value);
    for (;;)
        coro_park();
}
