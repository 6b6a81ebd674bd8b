/*
 * connect.c: connect and accept.
 *
 * There is no MSG_DONTWAIT for these. connect sets O_NONBLOCK for the first call only; the socket is hardly shared with
 * anybody yet. Once the socket is writable connect is called again: only that returns what the blocking call would, and
 * leaves the socket in the same state. (Reading SO_ERROR does not: after a refusal the socket could not be connected
 * again.) accept is awaited by poll(2), since listening sockets, and so their flags, are often shared with other
 * processes; if one of them takes the connection in between, the accept blocks.
 */
#include "base/real.h"
#include "libc/io/io.h"

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

static int connect_end(struct io *io, const struct sockaddr *to, socklen_t size)
{
    int begun = errno; /* EINPROGRESS or EALREADY */

    if (!io_await(io)) {
        if (errno == EAGAIN) /* SO_SNDTIMEO */
            errno = begun;
        return -1;
    }
    return real()->connect(io->fd, to, size) < 0 && errno != EISCONN ? -1 : 0;
}

int connect(int fd, const struct sockaddr *to, socklen_t size)
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

/* ---- accept ---- */

int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags)
{
    struct io io = io_in(fd);

    if (!coro_self())
        return real()->accept4(fd, from, size, flags);
    return (int)io_end_fair(&io, io_await(&io) ? real()->accept4(fd, from, size, flags) : -1);
}

int accept(int fd, struct sockaddr *from, socklen_t *size)
{
    return accept4(fd, from, size, 0);
}
