/*
 * receive.c: recv, recvfrom, recvmsg and recvmmsg.
 *
 * Each is tried with MSG_DONTWAIT. Then MSG_WAITALL has no effect in the kernel, so it is done here: on a stream, go on
 * until the buffers are full, the stream has ended, or ancillary data was received, as the kernel does. Together with
 * MSG_PEEK that is impossible here, since the data that was peeked at keeps the socket readable; then a thread of the
 * pool makes the whole call. Calls with flags for which the kernel never waits (error queue, urgent data) pass through.
 */
#include "libc/io/receive.h"

#include "base/real.h"
#include "libc/io/fortify.h"
#include "libc/io/iov.h"
#include "libc/io/kind.h"
#include "libc/runtime/timespec.h"

#define NEVER_WAITS (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB)

static bool receive_passes(int flags)
{
    return !coro_self() || flags & NEVER_WAITS;
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

/* MSG_WAITALL, of which some bytes are done. An error ends it too; the next call fails with it. */
static ssize_t receive_rest(struct io *io, const struct msghdr *msg, int flags, size_t done)
{
    struct msghdr next = {0};
    struct iov_rest rest = {.iov = msg->msg_iov, .count = msg->msg_iovlen};
    ssize_t got = (ssize_t)done;

    for (;;) {
        iov_rest_skip(&rest, (size_t)got);
        if (rest.count == 0)
            break;
        iov_rest_next(&rest, &next);
        got = receive_some(io, &next, flags);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

struct receive_call {
    int fd, flags;
    struct msghdr *msg;
    ssize_t got;
};

static int receive_on_thread(void *arg)
{
    struct receive_call *call = arg;

    call->got = real()->recvmsg(call->fd, call->msg, call->flags);
    return call->got < 0 ? -errno : 0;
}

static ssize_t receive_all(struct io *io, struct msghdr *msg, int flags)
{
    size_t wanted = iov_total(msg->msg_iov, msg->msg_iovlen);
    struct receive_call call = {io->fd, flags, msg, -1};
    ssize_t got;

    if (flags & MSG_PEEK && kind_is_stream(io->fd) && park_possible())
        return park_ok(wait_offload(receive_on_thread, &call)) ? call.got : -1;
    got = receive_some(io, msg, flags);
    if (got > 0 && (size_t)got < wanted && msg->msg_controllen == 0 && kind_is_stream(io->fd))
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

    if (receive_passes(flags))
        return real()->recvmsg(fd, msg, flags);
    return io_end(&io, receive_msg(&io, msg, flags));
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

    if (receive_passes(flags))
        return real()->recvfrom(fd, buf, size, flags, from, from_size);
    return io_end(&io, receive_from(&io, buf, size, flags, from, from_size));
}

ssize_t recv(int fd, void *buf, size_t size, int flags)
{
    struct io io = io_in(fd);

    if (receive_passes(flags))
        return real()->recv(fd, buf, size, flags);
    return io_end(&io, receive_from(&io, buf, size, flags, NULL, NULL));
}

ssize_t __recv_chk(int fd, void *buf, size_t size, size_t capacity, int flags)
{
    if (size > capacity)
        __chk_fail();
    return recv(fd, buf, size, flags);
}

ssize_t __recvfrom_chk(int fd, void *buf, size_t size, size_t capacity, int flags, struct sockaddr *from,
                       socklen_t *from_size)
{
    if (size > capacity)
        __chk_fail();
    return recvfrom(fd, buf, size, flags, from, from_size);
}

/* ---- recvmmsg ---- */

/* As in the kernel, the timeout is checked only after each message; the wait for one message may exceed it. */
static bool receive_wants_more(unsigned got, unsigned count, int flags, int64_t deadline)
{
    return got < count && !(flags & MSG_WAITFORONE) && wait_now() < deadline;
}

static int receive_many(struct io *io, struct mmsghdr *messages, unsigned count, int flags, int64_t deadline)
{
    unsigned done = 0;
    int got;

    do {
        got = real()->recvmmsg(io->fd, messages + done, count - done, flags | io->dontwait, NULL);
        if (got > 0)
            done += (unsigned)got;
    } while (got < 0 ? io_again(io) : receive_wants_more(done, count, flags, deadline));
    return done > 0 ? (int)done : got;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    struct io io = io_in(fd);
    int64_t deadline;
    int got;

    if (receive_passes(flags) || (timeout && !timespec_is_interval(timeout)))
        return real()->recvmmsg(fd, messages, count, flags, timeout);
    deadline = timespec_deadline_in(timeout);
    got = receive_many(&io, messages, count, flags, deadline);
    if (timeout && got > 0)
        *timeout = timespec_of_ns(deadline - wait_now());
    return (int)io_end(&io, got);
}
