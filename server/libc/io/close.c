/*
 * close.c: the calls that close a descriptor: close, and dup2 and dup3, which close their target.
 *
 * A thread that is blocked in read() does not notice when another thread closes the descriptor, and may hang.
 * Coroutines that wait for a descriptor wake up with EBADF instead. That happens before the close, after which the
 * number may be reused at once. A child of vfork closes only its own descriptors, but shares its parent's list of
 * waiters, and so it leaves that alone.
 */
#include "base/real.h"
#include "libc/runtime/park.h"

static void close_wake_waiters(int fd)
{
    int saved = errno;

    if (wait_fd_known(fd) && park_possible())
        wait_fd_close(fd);
    errno = saved;
}

int close(int fd)
{
    if (coro_self())
        close_wake_waiters(fd);
    return real()->close(fd);
}

/* Whether dup2 and dup3 from fd close their target: not if they fail. */
static bool can_dup(int fd)
{
    return real()->fcntl(fd, F_GETFD) >= 0;
}

int dup2(int from, int to)
{
    if (coro_self() && from != to && can_dup(from))
        close_wake_waiters(to);
    return real()->dup2(from, to);
}

int dup3(int from, int to, int flags)
{
    if (coro_self() && from != to && can_dup(from))
        close_wake_waiters(to);
    return real()->dup3(from, to, flags);
}
