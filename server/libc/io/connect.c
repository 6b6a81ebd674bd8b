/*
 * connect.c: connect and accept.
 *
 * There is no MSG_DONTWAIT for these. connect sets O_NONBLOCK for the first call only; the socket is hardly shared with
 * anybody yet. Once the socket is writable connect is called again: only that returns what the blocking call would, and
 * leaves the socket in the same state. (Reading SO_ERROR does not: after a refusal the socket could not be connected
 * again.) accept is awaited by poll(2), since listening sockets, and so their flags, are often shared with other
 * processes; if one of them takes the connection in between, the accept blocks.
 *
 * A connection to a peer that the configuration limits (libc/outbound) waits for its turn first. Where it also limits
 * the time, the connect is made as a blocking one, whatever the socket's flags are.
 */
#include "base/real.h"
#include "libc/io/io.h"
#include "libc/outbound/holder.h"
#include "libc/outbound/outbound.h"
#include "wait/reason.h"

/* ---- connect ---- */

static int connect_begin(int fd, const struct sockaddr *to, socklen_t size, int flags)
{
    int result, saved;

    real()->fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    result = real()->connect(fd, to, size);
    saved = errno;
    real()->fcntl(fd, F_SETFL, flags);
    errno = saved;
    return result;
}

/* connect on a Unix socket fails while the backlog is full, and nothing notifies us when that changes. */
static bool connect_again(struct io *io, const struct sockaddr *to)
{
    return errno == EAGAIN && to->sa_family == AF_UNIX && io_pause(io);
}

/* The wait for a connect that is under way begins. Returns as reason_begin. */
static bool connect_reason(int fd, const struct sockaddr *to, socklen_t size)
{
    bool whole = (to->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) ||
                 (to->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6));

    return reason_begin(FOR_SOCKET, fd, whole ? to : NULL);
}

static int connect_end(struct io *io, const struct sockaddr *to, socklen_t size)
{
    int begun = errno; /* EINPROGRESS or EALREADY */
    bool told = connect_reason(io->fd, to, size), ready = io_await(io);

    reason_end(told);
    if (!ready) {
        if (errno == EAGAIN) /* SO_SNDTIMEO */
            errno = begun;
        return -1;
    }
    return real()->connect(io->fd, to, size) < 0 && errno != EISCONN ? -1 : 0;
}

static int connect_free(int fd, const struct sockaddr *to, socklen_t size)
{
    struct io io = io_out(fd);
    int flags, result;

    if (!coro_self())
        return real()->connect(fd, to, size);
    flags = real()->fcntl(fd, F_GETFL);
    if (flags < 0 || flags & O_NONBLOCK || !park_possible())
        return real()->connect(fd, to, size);
    do
        result = connect_begin(fd, to, size, flags);
    while (result < 0 && connect_again(&io, to));
    if (result < 0 && (errno == EINPROGRESS || errno == EALREADY))
        result = connect_end(&io, to, size);
    return (int)io_end(&io, result);
}

/* ---- a peer with limits ---- */

/* Wait until the socket is connected, or the connect has failed. Returns 0, -ETIMEDOUT or the error of the wait. */
static int connect_await(int fd, int64_t deadline)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};
    int64_t left = deadline - wait_now();
    int result;

    if (left <= 0)
        return -ETIMEDOUT;
    if (coro_self())
        result = wait_fds(&look, 1, deadline);
    else
        result = real()->poll(&look, 1, (int)(left / 1000000) + 1);
    if (result == 0)
        return -ETIMEDOUT;
    return result > 0 || park_restarts(result) || (!coro_self() && errno == EINTR) ? 0 : result;
}

/* Take a connect back that has not succeeded in time: it must not do so later. */
static void connect_abort(int fd)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};

    real()->connect(fd, &none, sizeof(none));
}

static bool is_under_way(int err)
{
    return err == EINPROGRESS || err == EALREADY;
}

/* connect, at most until the deadline. */
static int connect_until(int fd, const struct sockaddr *to, socklen_t size, int64_t deadline)
{
    int flags = real()->fcntl(fd, F_GETFL), result = connect_begin(fd, to, size, flags), err = 0;

    while (result < 0 && is_under_way(errno)) {
        bool told = connect_reason(fd, to, size);

        err = connect_await(fd, deadline);
        reason_end(told);
        if (err)
            break;
        result = connect_begin(fd, to, size, flags);
    }
    if (err == -ETIMEDOUT)
        connect_abort(fd);
    if (err)
        errno = park_error(err);
    return result < 0 && errno == EISCONN ? 0 : result;
}

static int connect_to(struct outbound *o, int fd, const struct sockaddr *to, socklen_t size)
{
    int64_t timeout = outbound_connect_timeout(o);

    if (!timeout || (wait_is_owner() && !coro_self()) || to->sa_family == AF_UNIX)
        return connect_free(fd, to, size);
    return connect_until(fd, to, size, wait_deadline(timeout * 1000000));
}

static int connect_limited(struct outbound *o, int fd, const struct sockaddr *to, socklen_t size)
{
    int saved = errno, result, err = outbound_begin(o, fd);

    if (err) {
        errno = park_error(err);
        return -1;
    }
    outbound_probe_peer(o, fd, to->sa_family);
    result = connect_to(o, fd, to, size);
    if (result < 0 && !is_under_way(errno) && errno != EISCONN && errno != EINTR) {
        err = errno;
        holder_drop(holder_take(fd)); /* there is no connection */
        errno = err;
    }
    if (result == 0)
        errno = saved;
    return result;
}

int connect(int fd, const struct sockaddr *to, socklen_t size)
{
    struct outbound *o;

    coro_at_home();
    o = outbound_used && to ? outbound_find(fd, to, size) : NULL;
    return o ? connect_limited(o, fd, to, size) : connect_free(fd, to, size);
}

/* ---- accept ---- */

int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags)
{
    struct io io = io_in(fd);

    if (!coro_self())
        return real()->accept4(fd, from, size, flags);
    return (int)io_end(&io, io_await(&io) ? real()->accept4(fd, from, size, flags) : -1);
}

int accept(int fd, struct sockaddr *from, socklen_t *size)
{
    return accept4(fd, from, size, 0);
}
