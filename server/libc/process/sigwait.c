/*
 * sigwait.c: waiting for signals: pause, sigsuspend, sigpause, sigwait, sigwaitinfo and sigtimedwait.
 *
 * pause and sigsuspend wait until a handler has run. Handlers run in the loop's OS thread, whatever coroutine is
 * running, and end the wait of the main coroutine only (handler.c); other coroutines wait on, like threads to which the
 * kernel does not deliver. The others wait for blocked signals. A signalfd becomes readable when one arrives; the real
 * call then takes it without waiting.
 */
#include <poll.h>
#include <sys/signalfd.h>

#include "base/real.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

/* ---- until a handler has run ---- */

/* Handlers that have run before do not count. */
static void ignore_past_handlers(void)
{
    if (coro_self()->is_main)
        wait_interrupt_take();
}

int pause(void)
{
    if (!coro_self() || !park_possible())
        return real()->pause();
    ignore_past_handlers();
    park_ok(wait_sleep(WAIT_FOREVER));
    return -1;
}

int sigsuspend(const sigset_t *mask)
{
    if (!coro_self() || !park_possible())
        return real()->sigsuspend(mask);
    ignore_past_handlers();
    return ppoll(NULL, 0, NULL, mask);
}

int __xpg_sigpause(int signum);

/* What a program calls by the name sigpause, as signal.h has it. */
int __xpg_sigpause(int signum)
{
    sigset_t mask;

    if (sigprocmask(SIG_BLOCK, NULL, &mask) < 0 || sigdelset(&mask, signum) < 0)
        return -1;
    return sigsuspend(&mask);
}

/* ---- until one of a set is pending ---- */

/* Take a pending signal of the set. Returns its number, -EAGAIN if there is none, or another negative errno. */
static int take_pending(const sigset_t *set, siginfo_t *info)
{
    int signum = real()->sigtimedwait(set, info, &timespec_zero);

    return signum < 0 ? -errno : signum;
}

/* The same, but wait until the deadline. */
static int await_pending(const sigset_t *set, siginfo_t *info, int64_t deadline)
{
    int fd, signum = take_pending(set, info), ready = 0;

    if (signum != -EAGAIN)
        return signum;
    fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    while (ready >= 0 && signum == -EAGAIN) {
        ready = wait_fd(fd, POLLIN, deadline);
        signum = take_pending(set, info);
    }
    close(fd);
    return signum == -EAGAIN && ready != -ETIMEDOUT ? ready : signum;
}

int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    int saved = errno;

    if (!coro_self() || !timespec_may_wait(timeout) || !park_possible())
        return real()->sigtimedwait(set, info, timeout);
    return park_end(await_pending(set, info, timespec_deadline_in(timeout)), saved);
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
    while ((result = await_pending(set, NULL, WAIT_FOREVER)) == -EINTR || park_restarts(result))
        park_ignore(result); /* libc's sigwait does not end with EINTR */
    errno = saved;
    if (result < 0)
        return -result;
    *signum = result;
    return 0;
}
