/*
 * sigmask.c: waiting for descriptors under another signal mask.
 *
 * The mask cannot be installed for the wait, since other coroutines run in this OS thread meanwhile. But the signals
 * that it would let through stay pending, and a signalfd becomes readable when one arrives. Then a ppoll of nothing
 * under the mask runs the handler.
 */
#include "libc/poll/sigmask.h"

#include <errno.h>
#include <sys/signalfd.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/runtime/timespec.h"
#include "wait/wait.h"

/* Collect the signals that are blocked now and would not be under mask. Returns false if there are none. */
static bool sigmask_unblocks(const sigset_t *mask, sigset_t *set)
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

/* Let in the pending signals that mask does not block. Returns -EINTR if a handler has run, 0 if they are ignored. */
static int sigmask_deliver(const sigset_t *mask)
{
    return real()->ppoll(NULL, 0, &timespec_zero, mask) < 0 ? -errno : 0;
}

static int sigmask_wait_with(struct pollfd *fds, nfds_t count, int64_t deadline, const sigset_t *mask, int signal_fd)
{
    struct pollfd *all = xmalloc((count + 1) * sizeof(*all));
    int result;

    for (nfds_t i = 0; i < count; i++)
        all[i] = fds[i];
    all[count] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
    do {
        result = wait_fds(all, count + 1, deadline);
        if (result > 0 && all[count].revents)
            result = result > 1 ? result - 1 : sigmask_deliver(mask);
        else if (result == 0)
            result = -ETIMEDOUT;
    } while (result == 0); /* the signal is ignored */
    for (nfds_t i = 0; i < count; i++)
        fds[i].revents = all[i].revents;
    free(all);
    return result == -ETIMEDOUT ? 0 : result;
}

int sigmask_wait_fds(struct pollfd *fds, nfds_t count, int64_t deadline, const sigset_t *mask)
{
    sigset_t set;
    int result, signal_fd;

    if (!mask || !sigmask_unblocks(mask, &set))
        return wait_fds(fds, count, deadline);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        return -errno;
    result = sigmask_wait_with(fds, count, deadline, mask, signal_fd);
    close(signal_fd);
    return result;
}
