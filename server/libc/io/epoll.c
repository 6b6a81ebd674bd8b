/*
 * epoll.c: epoll_wait, epoll_pwait and epoll_pwait2 on an application's own epoll descriptor.
 *
 * An epoll descriptor can itself be waited for: it is readable when it has events to give. So the coroutine parks on
 * that, and the kernel gives the events, without a timeout, with all that their flags mean.
 */
#include <sys/epoll.h>

#include "libc/runtime/park.h"
#include "libc/io/poll.h"
#include "base/real.h"

static int ask(int fd, struct epoll_event *events, int count, const sigset_t *mask)
{
    return real()->epoll_pwait(fd, events, count, 0, mask);
}

static int park(int fd, struct epoll_event *events, int count, int64_t deadline, const sigset_t *mask)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    int saved = errno, result;

    do {
        result = poll_park(&look, 1, deadline, mask);
        if (result <= 0)
            return park_end(result, saved);
        result = ask(fd, events, count, mask);
    } while (result == 0);
    return result;
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
    int result;

    if (timeout == 0)
        park_fair();
    if (!coro_self() || timeout == 0)
        return real()->epoll_pwait(fd, events, count, timeout, mask);
    result = ask(fd, events, count, mask);
    if (result != 0)
        return result;
    if (!park_possible())
        return real()->epoll_pwait(fd, events, count, timeout, mask);
    return park(fd, events, count, wait_deadline(timeout * INT64_C(1000000)), mask);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
    if (timeout == 0)
        park_fair();
    if (!coro_self() || timeout == 0)
        return real()->epoll_wait(fd, events, count, timeout);
    return epoll_pwait(fd, events, count, timeout, NULL);
}

int epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout, const sigset_t *mask)
{
    int result;

    if (!coro_self() || (timeout && !park_valid(timeout)))
        return real()->epoll_pwait2(fd, events, count, timeout, mask);
    result = ask(fd, events, count, mask);
    if (result != 0 || (timeout && park_nanoseconds(timeout) == 0))
        return result;
    if (!park_possible())
        return real()->epoll_pwait2(fd, events, count, timeout, mask);
    return park(fd, events, count, park_deadline_in(timeout), mask);
}
