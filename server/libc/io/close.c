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
 *
 * A connection to a peer that the configuration limits (libc/outbound) is over with its last descriptor; so it is also
 * noticed when one is copied.
 */
#include "libc/io/close.h"

#include <stdatomic.h>

#include "base/real.h"
#include "libc/io/kind.h"
#include "libc/outbound/holder.h"
#include "libc/outbound/outbound.h"
#include "libc/runtime/park.h"

static void close_wake_waiters(int fd)
{
    int saved;

    if (!wait_fd_known(fd))
        return;
    saved = errno;
    if (park_possible())
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
    return park_end(wait_thread_for(FOR_SOCKET, NULL, closing_run, &closing), errno);
}

/* ---- the calls ---- */

static int close_free(int fd)
{
    if (kind_passes(fd))
        return real()->close(fd);
    close_wake_waiters(fd);
    return close_lingers(fd) ? close_on_thread((struct closing){-1, fd, 0}) : real()->close(fd);
}

int close(int fd)
{
    struct holder *holder = outbound_used ? holder_take(fd) : NULL;
    int result;

    if (!holder)
        return close_free(fd);
    result = close_free(fd);
    holder_drop(holder);
    return result;
}

/* Whether dup2 and dup3 from fd close their target: not if they fail. */
static bool can_dup(int fd)
{
    return real()->fcntl(fd, F_GETFD) >= 0;
}

/* dup3, or dup2 if the flags are negative. */
static int dup_free(int from, int to, int flags)
{
    if (coro_self() && from != to && can_dup(from)) {
        close_wake_waiters(to);
        if (close_lingers(to))
            return close_on_thread((struct closing){from, to, flags});
    }
    return flags < 0 ? real()->dup2(from, to) : real()->dup3(from, to, flags);
}

static int dup_limited(int from, int to, int flags)
{
    struct holder *holder = holder_take(to);
    int result = dup_free(from, to, flags);

    if (result < 0 && holder) {
        holder_put(to, holder);
        return result;
    }
    if (result >= 0)
        holder_share(from, to);
    if (holder)
        holder_drop(holder);
    return result;
}

static int dup_any(int from, int to, int flags)
{
    return outbound_used && from != to ? dup_limited(from, to, flags) : dup_free(from, to, flags);
}

int dup2(int from, int to)
{
    return dup_any(from, to, -1);
}

int dup3(int from, int to, int flags)
{
    return flags < 0 ? real()->dup3(from, to, flags) : dup_any(from, to, flags);
}

int dup(int fd)
{
    int copy = real()->dup(fd);

    if (outbound_used && copy >= 0)
        holder_share(fd, copy);
    return copy;
}
