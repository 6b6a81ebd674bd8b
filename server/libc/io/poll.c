/*
 * poll.c: poll and ppoll.
 *
 * wait_fds asks the kernel first, without a timeout; only if nothing is ready does the coroutine park, with a waiter at
 * each descriptor. ppoll, pselect, epoll_pwait and sigsuspend wait under another signal mask. That cannot be put in
 * force while other coroutines run in this thread. But a signal that it would let through stays pending meanwhile, and
 * a signalfd tells of it; a ppoll of nothing under the mask then runs the handler.
 */
#include "libc/io/poll.h"

#include <sys/signalfd.h>

#include "base/mem.h"
#include "libc/io/fortify.h"
#include "libc/runtime/park.h"
#include "base/real.h"

const struct timespec poll_at_once;

/* ---- signal masks ---- */

/* The signals that are blocked now and would not be under mask. False if there are none. */
static bool let_through(const sigset_t *mask, sigset_t *set)
{
    sigset_t now;
    bool any = false;

    sigemptyset(set);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int signum = 1; signum <= SIGRTMAX; signum++) {
        if (sigismember(&now, signum) == 1 && sigismember(mask, signum) == 0) {
            sigaddset(set, signum);
            any = true;
        }
    }
    return any;
}

/* Let the pending signals through that are unblocked under mask: -EINTR if a handler has run. */
static int deliver(const sigset_t *mask)
{
    return real()->ppoll(NULL, 0, &poll_at_once, mask) < 0 ? -errno : 0;
}

static int park_with(struct pollfd *fds, nfds_t count, int64_t deadline, const sigset_t *mask, int signal_fd)
{
    struct pollfd *all = xmalloc((count + 1) * sizeof(*all));
    int result;

    for (nfds_t i = 0; i < count; i++)
        all[i] = fds[i];
    all[count] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
    do {
        result = wait_fds(all, count + 1, deadline);
        if (result > 0 && all[count].revents)
            result = result > 1 ? result - 1 : deliver(mask);
        else if (result == 0)
            result = -ETIMEDOUT;
    } while (result == 0); /* the signal was one that is ignored */
    for (nfds_t i = 0; i < count; i++)
        fds[i].revents = all[i].revents;
    free(all);
    return result == -ETIMEDOUT ? 0 : result;
}

int poll_park(struct pollfd *fds, nfds_t count, int64_t deadline, const sigset_t *mask)
{
    sigset_t set;
    int result, signal_fd;

    if (!mask || !let_through(mask, &set))
        return wait_fds(fds, count, deadline);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        return -errno;
    result = park_with(fds, count, deadline, mask, signal_fd);
    close(signal_fd);
    return result;
}

/* ---- the calls ---- */

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    int saved = errno;

    if (timeout == 0)
        park_fair();
    if (!coro_self() || timeout == 0 || !park_possible())
        return real()->poll(fds, count, timeout);
    return park_end(wait_fds(fds, count, wait_deadline(timeout * INT64_C(1000000))), saved);
}

/* A time that the kernel refuses, or that is over. */
static bool is_no_time(const struct timespec *timeout)
{
    return timeout && (!park_valid(timeout) || park_nanoseconds(timeout) == 0);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    int saved = errno;

    if (is_no_time(timeout))
        park_fair();
    if (!coro_self() || is_no_time(timeout) || !park_possible())
        return real()->ppoll(fds, count, timeout, mask);
    return park_end(poll_park(fds, count, park_deadline_in(timeout), mask), saved);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
    if (room / sizeof(*fds) < count)
        __chk_fail();
    return poll(fds, count, timeout);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room)
{
    if (room / sizeof(*fds) < count)
        __chk_fail();
    return ppoll(fds, count, timeout, mask);
}
