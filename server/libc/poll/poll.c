/*
 * poll.c: poll and ppoll.
 *
 * wait_fds asks the kernel first, without a timeout. Only if nothing is ready does the coroutine park, with a waiter at
 * each descriptor.
 */
#include "base/real.h"
#include "libc/io/fortify.h"
#include "libc/poll/sigmask.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    int saved = errno;

    if (timeout == 0)
        park_fair();
    if (timeout == 0 || !coro_self() || !park_possible())
        return real()->poll(fds, count, timeout);
    return park_end(wait_fds(fds, count, wait_deadline(timeout * INT64_C(1000000))), saved);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    int saved = errno;

    if (!timespec_may_wait(timeout))
        park_fair();
    if (!timespec_may_wait(timeout) || !coro_self() || !park_possible())
        return real()->ppoll(fds, count, timeout, mask);
    return park_end(sigmask_wait_fds(fds, count, timespec_deadline_in(timeout), mask), saved);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t capacity)
{
    if (capacity / sizeof(*fds) < count)
        __chk_fail();
    return poll(fds, count, timeout);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t capacity)
{
    if (capacity / sizeof(*fds) < count)
        __chk_fail();
    return ppoll(fds, count, timeout, mask);
}
