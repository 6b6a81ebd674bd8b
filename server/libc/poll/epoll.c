/*
 * epoll.c: epoll_wait, epoll_pwait and epoll_pwait2 on an epoll descriptor of the application.
 *
 * An epoll descriptor can itself be polled: it is readable when it has events. So the coroutine parks on that, and the
 * events are fetched from the kernel without a timeout, which leaves the meaning of all their flags to the kernel.
 */
#include <sys/epoll.h>

#include "base/real.h"
#include "libc/poll/sigmask.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

static int epoll_ask(int fd, struct epoll_event *events, int count, const sigset_t *mask)
{
    return real()->epoll_pwait(fd, events, count, 0, mask);
}

static int epoll_park(int fd, struct epoll_event *events, int count, int64_t deadline, const sigset_t *mask)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    int saved = errno, result;

    do {
        result = sigmask_wait_fds(&look, 1, deadline, mask);
        if (result <= 0)
            return park_end(result, saved);
        result = epoll_ask(fd, events, count, mask);
    } while (result == 0);
    return result;
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
    int result;

    if (timeout == 0)
        park_fair();
    if (timeout == 0 || !coro_self())
        return real()->epoll_pwait(fd, events, count, timeout, mask);
    result = epoll_ask(fd, events, count, mask);
    if (result != 0)
        return result;
    if (!park_possible())
        return real()->epoll_pwait(fd, events, count, timeout, mask);
    return epoll_park(fd, events, count, wait_deadline(timeout * INT64_C(1000000)), mask);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
    if (timeout == 0)
        park_fair();
    if (timeout == 0 || !coro_self())
        return real()->epoll_wait(fd, events, count, timeout);
    return epoll_pwait(fd, events, count, timeout, NULL);
}

int epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout, const sigset_t *mask)
{
    int result;

    if (!coro_self() || (timeout && !timespec_is_interval(timeout)))
        return real()->epoll_pwait2(fd, events, count, timeout, mask);
    result = epoll_ask(fd, events, count, mask);
    if (result != 0 || !timespec_may_wait(timeout))
        return result;
    if (!park_possible())
        return real()->epoll_pwait2(fd, events, count, timeout, mask);
    return epoll_park(fd, events, count, timespec_deadline_in(timeout), mask);
}
