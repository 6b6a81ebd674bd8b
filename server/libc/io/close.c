/*
 * close.c: the calls that end a descriptor: close, and dup2 and dup3, which close their target.
 *
 * A thread blocked in read() is not told when another thread closes the descriptor; it would hang. Coroutines that wait
 * for a descriptor wake up with EBADF instead. Its number may be given out again at once, so this happens before the
 * close. In a child made by vfork a close is the child's own affair, while the record of who waits is its parent's.
 */
#include "base/real.h"

#include "libc/runtime/park.h"

static void forget(int fd)
{
    int saved = errno;

    if (wait_fd_known(fd) && park_possible())
        wait_fd_close(fd);
    errno = saved;
}

int close(int fd)
{
    if (coro_self())
        forget(fd);
    return real()->close(fd);
}

/* Whether dup2 and dup3 will close their target. */
static bool is_open(int fd)
{
    return real()->fcntl(fd, F_GETFD) >= 0;
}

int dup2(int from, int to)
{
    if (coro_self() && from != to && is_open(from))
        forget(to);
    return real()->dup2(from, to);
}

int dup3(int from, int to, int flags)
{
    if (coro_self() && from != to && is_open(from))
        forget(to);
    return real()->dup3(from, to, flags);
}
