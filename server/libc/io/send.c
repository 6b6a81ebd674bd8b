/*
 * send.c: send, sendto, sendmsg and sendmmsg.
 *
 * Each is tried with MSG_DONTWAIT. On a stream such a try may send a part, where the blocking call would send all; so
 * the rest is sent by further tries. If one of them fails, the caller gets the number of bytes sent so far, as from the
 * kernel, and its next call fails with the error. That is why the rest is sent with MSG_NOSIGNAL.
 */
#include "libc/io/send.h"

#include <limits.h>

#include "base/real.h"
#include "libc/io/iov.h"

static bool send_passes(int flags)
{
    return !coro_self() || flags & MSG_DONTWAIT;
}

ssize_t send_to(struct io *io, const void *buf, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
    size_t done = 0;
    ssize_t put;

    do {
        put = real()->sendto(io->fd, (const char *)buf + done, size - done, flags | io->dontwait, to, to_size);
        if (put >= 0 && (done += (size_t)put) < size) {
            io_moved(io);
            flags |= MSG_NOSIGNAL;
        }
    } while (put < 0 ? io_again(io) : done < size);
    return done > 0 ? (ssize_t)done : put;
}

ssize_t send_msg(struct io *io, const struct msghdr *msg, int flags)
{
    size_t total = iov_total(msg->msg_iov, msg->msg_iovlen), done = 0;
    struct iov_rest rest = {.iov = msg->msg_iov, .count = msg->msg_iovlen};
    struct msghdr next = *msg;
    ssize_t put;

    do {
        put = real()->sendmsg(io->fd, &next, flags | io->dontwait);
        if (put >= 0 && (done += (size_t)put) < total) {
            iov_rest_skip(&rest, (size_t)put);
            iov_rest_next(&rest, &next);
            next.msg_control = NULL; /* was sent with the first bytes */
            next.msg_controllen = 0;
            io_moved(io);
            flags |= MSG_NOSIGNAL;
        }
    } while (put < 0 ? io_again(io) : done < total);
    return done > 0 ? (ssize_t)done : put;
}

ssize_t send(int fd, const void *buf, size_t size, int flags)
{
    struct io io = io_out(fd);

    if (send_passes(flags))
        return real()->send(fd, buf, size, flags);
    return io_end(&io, send_to(&io, buf, size, flags, NULL, 0));
}

ssize_t sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
    struct io io = io_out(fd);

    if (send_passes(flags))
        return real()->sendto(fd, buf, size, flags, to, to_size);
    return io_end(&io, send_to(&io, buf, size, flags, to, to_size));
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct io io = io_out(fd);

    if (send_passes(flags))
        return real()->sendmsg(fd, msg, flags);
    return io_end(&io, send_msg(&io, msg, flags));
}

static bool sendmmsg_one(int fd, struct mmsghdr *message, int flags)
{
    struct io io = io_out(fd);
    ssize_t put = io_end(&io, send_msg(&io, &message->msg_hdr, flags));

    if (put >= 0)
        message->msg_len = (unsigned)put;
    return put >= 0;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    int saved = errno;
    unsigned done = 0;

    if (send_passes(flags) || count == 0)
        return real()->sendmmsg(fd, messages, count, flags);
    while (done < count && done < IOV_MAX && sendmmsg_one(fd, &messages[done], flags))
        done++;
    if (done == 0)
        return -1;
    errno = saved;
    return (int)done;
}
