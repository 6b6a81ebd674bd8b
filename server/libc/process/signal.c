/*
 * signal.c: waiting for signals: pause, sigsuspend, sigwait, sigwaitinfo and sigtimedwait.
 *
 * Handlers run in the loop's thread whatever coroutine is running; one that waits for "any handler" is told by
 * wait_interrupt if it is the main coroutine (handler.c), others wait on, as a thread would to
 * which the kernel does not deliver. Blocked signals that are waited for by set become visible at a signalfd, and are
 * then taken by the real call, which returns at once.
 */
#include <poll.h>
#include <sys/signalfd.h>

#include "libc/runtime/park.h"
#include "libc/io/poll.h"
#include "base/real.h"

/* ---- until a handler has run ---- */

/* Only what runs from now on counts. */
static void forget_handlers(void)
{
    if (coro_self()->is_main)
        wait_interrupt_take();
}

int pause(void)
{
    if (!coro_self() || !park_possible())
        return real()->pause();
    forget_handlers();
    park_ok(wait_sleep(WAIT_FOREVER));
    return -1;
}

int sigsuspend(const sigset_t *mask)
{
    if (!coro_self() || !park_possible())
        return real()->sigsuspend(mask);
    forget_handlers();
    return ppoll(NULL, 0, NULL, mask);
}

/* ---- until one of a set is pending ---- */

/* Take a pending signal of the set: its number, -EAGAIN or another negative errno. */
static int take(const sigset_t *set, siginfo_t *info)
{
    int signum = real()->sigtimedwait(set, info, &poll_at_once);

    return signum < 0 ? -errno : signum;
}

static int take_until(const sigset_t *set, siginfo_t *info, int64_t deadline)
{
    int fd, signum = take(set, info), ready = 0;

    if (signum != -EAGAIN)
        return signum;
    fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    while (ready >= 0 && signum == -EAGAIN) {
        ready = wait_fd(fd, POLLIN, deadline);
        signum = take(set, info);
    }
    close(fd);
    return signum == -EAGAIN && ready != -ETIMEDOUT ? ready : signum;
}

int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    int saved = errno;

    if (!coro_self() || (timeout && (!park_valid(timeout) || park_nanoseconds(timeout) == 0)) || !park_possible())
        return real()->sigtimedwait(set, info, timeout);
    return park_end(take_until(set, info, park_deadline_in(timeout)), saved);
}

int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    return sigtimedwait(set, info, NULL);
}

int sigwait(const sigset_t *set, int *signum)
{
    int saved = errno, result;

    if (!coro_self() || !park_possible())
        return real()->sigwait(set, signum);
    do
        result = take_until(set, NULL, WAIT_FOREVER);
    while (result == -EINTR || park_restarts(result)); /* libc's sigwait goes on after a handler */
    errno = saved;
    if (result < 0)
        return -result;
    *signum = result;
    return 0;
}
