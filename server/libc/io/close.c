/*
 * close.c: the calls that close a descriptor: close, and dup2 and dup3, which close their target.
 *
 * A thread that is blocked in read() does not notice when another thread closes the descriptor, and may hang.
 * Coroutines that wait for a descriptor wake up with EBADF instead. That happens before the close, after which the
 * number may be reused at once. A child of vfork closes only its own descriptors, but shares its parent's list of
 * waiters, and so it leaves that alone.
 *
 * With SO_LINGER close waits for the peer, also if the socket has O_NONBLOCK. That is done by a thread of its own,
 * since the time may be long. setsockopt is defined to notice that the option is used at all.
 */
#include "libc/io/close.h"

#include <stdatomic.h>

#include "base/real.h"
#include "libc/runtime/park.h"

static void close_wake_waiters(int fd)
{
    int saved = errno;

    if (wait_fd_known(fd) && park_possible())
        wait_fd_close(fd);
    errno = saved;
}

/* ---- SO_LINGER ---- */

/* Somebody has asked that close waits for the peer. */
static atomic_bool somebody_lingers;

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    int result = real()->setsockopt(fd, level, name, value, size);

    if (level == SOL_SOCKET && name == SO_LINGER && result == 0 && ((const struct linger *)value)->l_onoff)
        somebody_lingers = true;
    return result;
}

static bool fd_lingers(int fd)
{
    struct linger linger = {0};
    socklen_t size = sizeof(linger);
    int saved = errno;

    if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) < 0)
        linger.l_onoff = 0;
    errno = saved;
    return linger.l_onoff && linger.l_linger > 0 && park_possible();
}

bool close_lingers(int fd)
{
    return somebody_lingers && fd_lingers(fd);
}

/* A call that closes; from: of dup2 and dup3, or -1. */
struct closing {
    int from, fd, flags;
};

static int closing_run(void *arg)
{
    const struct closing *c = arg;
    int result;

    if (c->from < 0)
        result = real()->close(c->fd);
    else if (c->flags < 0)
        result = real()->dup2(c->from, c->fd);
    else
        result = real()->dup3(c->from, c->fd, c->flags);
    return result < 0 ? -errno : result;
}

/* Only the kernel knows whether this is the last descriptor of the socket; if not it does not linger. */
static int close_on_thread(struct closing closing)
{
    return park_end(wait_thread(closing_run, &closing), errno);
}

/* ---- the calls ---- */

int close(int fd)
{
    if (!coro_self())
        return real()->close(fd);
    close_wake_waiters(fd);
    return close_lingers(fd) ? close_on_thread((struct closing){-1, fd, 0}) : real()->close(fd);
}

/* Whether dup2 and dup3 from fd close their target: not if they fail. */
static bool can_dup(int fd)
{
    return real()->fcntl(fd, F_GETFD) >= 0;
}

int dup2(int from, int to)
{
    if (!coro_self() || from == to || !can_dup(from))
        return real()->dup2(from, to);
    close_wake_waiters(to);
    return close_lingers(to) ? close_on_thread((struct closing){from, to, -1}) : real()->dup2(from, to);
}

int dup3(int from, int to, int flags)
{
    if (!coro_self() || from == to || !can_dup(from))
        return real()->dup3(from, to, flags);
    close_wake_waiters(to);
    return close_lingers(to) && flags >= 0 ? close_on_thread((struct closing){from, to, flags})
                                           : real()->dup3(from, to, flags);
}
