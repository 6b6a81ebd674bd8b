/*
 * receive.c: recv and its relations.
 *
 * Each is tried with MSG_DONTWAIT. MSG_WAITALL, which has no effect then, is done here: on a stream, go on until the
 * buffers are full, the stream has ended or ancillary data came, as the kernel does. With MSG_PEEK that cannot be done
 * from outside, since what has been peeked at makes the socket ready; there the whole call goes to a thread. Flags by
 * which a call never waits in the kernel (the error queue, urgent data) pass through.
 */
#include "libc/io/receive.h"

#include "libc/io/fortify.h"
#include "base/real.h"

#define NEVER_WAITS (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB)

static bool passes(int flags)
{
    return !coro_self() || flags & NEVER_WAITS;
}

static bool is_stream(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* ---- recvmsg ---- */

static ssize_t receive_some(struct io *io, struct msghdr *msg, int flags)
{
    ssize_t got;

    do
        got = real()->recvmsg(io->fd, msg, flags | io->dontwait);
    while (got < 0 && io_again(io));
    return got;
}

/* MSG_WAITALL after done bytes. An error ends it too, and shows again in the next call. */
static ssize_t receive_rest(struct io *io, const struct msghdr *msg, int flags, size_t done)
{
    struct msghdr next = {0};
    struct io_rest rest = {.iov = msg->msg_iov, .count = msg->msg_iovlen};
    ssize_t got = (ssize_t)done;

    for (;;) {
        io_rest_done(&rest, (size_t)got);
        if (rest.count == 0)
            break;
        io_rest_next(&rest, &next);
        got = receive_some(io, &next, flags);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

struct blocking_call {
    int fd, flags;
    struct msghdr *msg;
    ssize_t got;
};

static int receive_blocking(void *arg)
{
    struct blocking_call *call = arg;

    call->got = real()->recvmsg(call->fd, call->msg, call->flags);
    return call->got < 0 ? -errno : 0;
}

static ssize_t receive_all(struct io *io, struct msghdr *msg, int flags)
{
    size_t wanted = io_total(msg->msg_iov, msg->msg_iovlen);
    struct blocking_call call = {io->fd, flags, msg, -1};
    ssize_t got;

    if (flags & MSG_PEEK && is_stream(io->fd) && park_possible())
        return park_ok(wait_offload(receive_blocking, &call)) ? call.got : -1;
    got = receive_some(io, msg, flags);
    if (got > 0 && (size_t)got < wanted && msg->msg_controllen == 0 && is_stream(io->fd))
        got = receive_rest(io, msg, flags, (size_t)got);
    return got;
}

ssize_t receive_msg(struct io *io, struct msghdr *msg, int flags)
{
    return flags & MSG_WAITALL ? receive_all(io, msg, flags) : receive_some(io, msg, flags);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    struct io io = io_in(fd);

    if (passes(flags))
        return real()->recvmsg(fd, msg, flags);
    return io_end_fair(&io, receive_msg(&io, msg, flags));
}

/* ---- recv and recvfrom ---- */

static ssize_t receive_all_from(struct io *io, void *buf, size_t size, int flags, struct sockaddr *from,
                                socklen_t *from_size)
{
    struct iovec iov = {buf, size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_name = from, .msg_namelen = from ? *from_size : 0};
    ssize_t got = receive_all(io, &msg, flags);

    if (got >= 0 && from)
        *from_size = msg.msg_namelen;
    return got;
}

ssize_t receive_from(struct io *io, void *buf, size_t size, int flags, struct sockaddr *from, socklen_t *from_size)
{
    ssize_t got;

    if (flags & MSG_WAITALL)
        return receive_all_from(io, buf, size, flags, from, from_size);
    do
        got = real()->recvfrom(io->fd, buf, size, flags | io->dontwait, from, from_size);
    while (got < 0 && io_again(io));
    return got;
}

ssize_t recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *from, socklen_t *from_size)
{
    struct io io = io_in(fd);

    if (passes(flags))
        return real()->recvfrom(fd, buf, size, flags, from, from_size);
    return io_end_fair(&io, receive_from(&io, buf, size, flags, from, from_size));
}

ssize_t recv(int fd, void *buf, size_t size, int flags)
{
    struct io io = io_in(fd);

    if (passes(flags))
        return real()->recv(fd, buf, size, flags);
    return io_end_fair(&io, receive_from(&io, buf, size, flags, NULL, NULL));
}

ssize_t __recv_chk(int fd, void *buf, size_t size, size_t room, int flags)
{
    if (size > room)
        __chk_fail();
    return recv(fd, buf, size, flags);
}

ssize_t __recvfrom_chk(int fd, void *buf, size_t size, size_t room, int flags, struct sockaddr *from,
                       socklen_t *from_size)
{
    if (size > room)
        __chk_fail();
    return recvfrom(fd, buf, size, flags, from, from_size);
}

/* ---- recvmmsg ---- */

/* As in the kernel, the time is looked at between messages only; a wait for the next one may outlast it. */
static bool wants_more(unsigned got, unsigned count, int flags, int64_t deadline)
{
    return got < count && !(flags & MSG_WAITFORONE) && wait_now() < deadline;
}

static void set_remaining(struct timespec *timeout, int64_t deadline)
{
    int64_t left = deadline - wait_now();

    if (left < 0)
        left = 0;
    timeout->tv_sec = left / 1000000000;
    timeout->tv_nsec = left % 1000000000;
}

static int receive_many(struct io *io, struct mmsghdr *messages, unsigned count, int flags, int64_t deadline)
{
    unsigned done = 0;
    int got;

    do {
        got = real()->recvmmsg(io->fd, messages + done, count - done, flags | io->dontwait, NULL);
        if (got > 0)
            done += (unsigned)got;
    } while (got > 0 ? wants_more(done, count, flags, deadline) : io_again(io));
    return done > 0 ? (int)done : got;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    struct io io = io_in(fd);
    int64_t deadline;
    int got;

    if (passes(flags) || (timeout && !park_valid(timeout)))
        return real()->recvmmsg(fd, messages, count, flags, timeout);
    deadline = park_deadline_in(timeout);
    got = receive_many(&io, messages, count, flags, deadline);
    if (timeout && got > 0)
        set_remaining(timeout, deadline);
    return (int)io_end_fair(&io, got);
}
