/*
 * io.c: one call on a descriptor, on a coroutine.
 *
 * O_NONBLOCK belongs to the application and to whoever else shares the open file, so it is neither set nor taken for
 * ours. Sockets are tried with MSG_DONTWAIT: if there is something to do, that is the only system call. All else is
 * looked at by poll(2) before. Only when a call would block is it found out whether its caller wanted that
 * (O_NONBLOCK), how long it may take (SO_RCVTIMEO, SO_SNDTIMEO) and whether this process may park at all.
 */
#include "libc/io/io.h"

#include <sys/time.h>

#include "base/real.h"

#define READY_IN_A_ROW 64

static unsigned ready_in_a_row;

static int64_t timeout_deadline(const struct io *io)
{
    struct timeval limit = {0};
    socklen_t size = sizeof(limit);

    getsockopt(io->fd, SOL_SOCKET, io->timeout, &limit, &size); /* what is no socket has no limit */
    if (limit.tv_sec == 0 && limit.tv_usec == 0)
        return WAIT_FOREVER;
    return wait_deadline(park_nanoseconds(&(struct timespec){limit.tv_sec, limit.tv_usec * 1000}));
}

/* Whether the caller wants no wait, or will get an error at once: a pipe's end for reading is never ready to write. */
static bool never_waits(const struct io *io)
{
    int flags = real()->fcntl(io->fd, F_GETFL), wrong = io->events == POLLOUT ? O_RDONLY : O_WRONLY;

    return flags & O_NONBLOCK || (flags & O_ACCMODE) == wrong;
}

/* Whether a call that would block is to park. */
static bool parks(struct io *io)
{
    if (io->how != IO_UNKNOWN)
        return io->how == IO_PARKS;
    if (never_waits(io)) {
        io->how = IO_NEVER;
    } else if (!park_possible()) {
        io->how = IO_BLOCKS;
        io->dontwait = 0;
    } else {
        io->how = IO_PARKS;
        io->deadline = timeout_deadline(io);
    }
    return io->how == IO_PARKS;
}

/* The outcome of a wait: past SO_RCVTIMEO or SO_SNDTIMEO a call fails as if it had been told not to block. */
static bool waited(struct io *io, int result)
{
    ready_in_a_row = 0;
    if (park_restarts(result) && io->deadline == WAIT_FOREVER)
        return true;
    io->refused = true;
    io->ready = result > 0 ? (short)result : 0;
    return park_ok(result == -ETIMEDOUT ? -EAGAIN : result);
}

static bool park(struct io *io)
{
    if (io->refused && io->events == POLLOUT) /* a Unix datagram socket whose peer's queue is full is still writable */
        return waited(io, park_backoff(&io->backoff, io->deadline));
    return waited(io, wait_fd(io->fd, io->events, io->deadline));
}

/* What ended the wait of a send may be an error. A send made anew might find the socket shut first, and raise SIGPIPE.
 */
static bool has_failed(const struct io *io)
{
    int err = 0;
    socklen_t size = sizeof(err);

    if (!(io->ready & POLLERR) || io->events != POLLOUT)
        return false;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0 || err == 0)
        return false;
    errno = err;
    return true;
}

bool io_again(struct io *io)
{
    if (errno != EAGAIN || !io->dontwait)
        return false;
    if (parks(io))
        return park(io) && !has_failed(io);
    errno = EAGAIN;
    return io->how == IO_BLOCKS;
}

bool io_pause(struct io *io)
{
    return parks(io) && waited(io, park_backoff(&io->backoff, io->deadline));
}

bool io_await(struct io *io)
{
    struct pollfd look = {.fd = io->fd, .events = io->events};

    while (real()->poll(&look, 1, 0) == 0) {
        if (!parks(io))
            return true;
        io->refused = false;
        if (!park(io))
            return false;
    }
    return true;
}

ssize_t io_end_fair(const struct io *io, ssize_t result)
{
    if (io->how == IO_UNKNOWN && ++ready_in_a_row >= READY_IN_A_ROW && park_possible()) {
        ready_in_a_row = 0;
        coro_yield();
    }
    return io_end(io, result);
}

void io_rest_next(struct io_rest *rest, struct msghdr *msg)
{
    if (rest->offset == 0) {
        msg->msg_iov = (struct iovec *)rest->iov;
        msg->msg_iovlen = rest->count;
        return;
    }
    rest->part.iov_base = (char *)rest->iov->iov_base + rest->offset;
    rest->part.iov_len = rest->iov->iov_len - rest->offset;
    msg->msg_iov = &rest->part;
    msg->msg_iovlen = 1;
}

void io_rest_done(struct io_rest *rest, size_t done)
{
    done += rest->offset;
    while (rest->count > 0 && done >= rest->iov->iov_len) {
        done -= rest->iov->iov_len;
        rest->iov++;
        rest->count--;
    }
    rest->offset = done;
}

size_t io_total(const struct iovec *iov, size_t count)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    return total;
}
