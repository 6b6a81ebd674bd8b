/*
 * io.c: one call on a descriptor, made on a coroutine.
 *
 * O_NONBLOCK belongs to the application, and to other processes that share the open file, so it is not changed here.
 * Sockets are tried with MSG_DONTWAIT: if the call succeeds, that is the only system call. For anything else poll(2) is
 * asked first. Only when a call would block do we find out what its caller wants (O_NONBLOCK), how long it may take
 * (SO_RCVTIMEO, SO_SNDTIMEO), and whether this process may park at all:
 *
 *               would block
 *     IO_NEW -----------------> O_NONBLOCK, or the wrong direction ----> IO_NEVER: EAGAIN for the caller
 *                        |----> a child of vfork; a pipe of a child ----> IO_KERNEL: the same without MSG_DONTWAIT
 *                        '----> otherwise -----------------------------> IO_AWAITS: wait_fd, and try again
 *
 *                     ready to send, but would block
 *     IO_AWAITS -----------------------------------------> IO_PAUSES: a pause, and try again
 *               <-----------------------------------------
 *                     some bytes were sent
 *
 * IO_PAUSES is for Unix datagram sockets: they stay writable while the queue of their peer is full.
 */
#include "libc/io/io.h"

#include "base/real.h"
#include "libc/io/kind.h"
#include "libc/runtime/timespec.h"

/* ---- leaving IO_NEW ---- */

/* Whether the call does not wait: O_NONBLOCK, or an error, since the reading end of a pipe never becomes writable. */
static bool io_never_waits(const struct io *io)
{
    int flags = real()->fcntl(io->fd, F_GETFL), wrong = io->events == POLLOUT ? O_RDONLY : O_WRONLY;

    return flags & O_NONBLOCK || (flags & O_ACCMODE) == wrong;
}

static int64_t io_deadline(const struct io *io)
{
    struct timeval limit = {0};
    socklen_t size = sizeof(limit);
    struct timespec length;

    /* It fails on anything but a socket, which then has no limit. */
    getsockopt(io->fd, SOL_SOCKET, io->events == POLLOUT ? SO_SNDTIMEO : SO_RCVTIMEO, &limit, &size);
    length = timespec_of_timeval(&limit);
    return timespec_may_wait(&length) ? timespec_deadline_in(&length) : WAIT_FOREVER;
}

/* At the other end of a pipe is a child, if the coroutine is to stay alone. */
static bool io_may_park(const struct io *io)
{
    return park_possible_for_child() || (park_possible() && !kind_is_pipe(io->fd));
}

static enum io_state io_choose(struct io *io)
{
    if (io_never_waits(io))
        return IO_NEVER;
    if (!io_may_park(io)) {
        io->dontwait = 0;
        return IO_KERNEL;
    }
    io->deadline = io_deadline(io);
    return IO_AWAITS;
}

/* The call would block: whether it is to park. */
static bool io_parks(struct io *io)
{
    if (io->state == IO_NEW)
        io->state = io_choose(io);
    return io->state == IO_AWAITS || io->state == IO_PAUSES;
}

/* ---- waiting ---- */

/* Returns whether to go on after a park. After SO_RCVTIMEO or SO_SNDTIMEO the call fails as if it had not waited, and
 * with one of these it is not restarted after a handler. */
static bool io_parked(const struct io *io, int result)
{
    if (park_restarts(result) && io->deadline == WAIT_FOREVER)
        return true;
    return park_ok(result == -ETIMEDOUT ? -EAGAIN : result);
}

/* Whether an error of the socket has ended the wait of a send. If so it is fetched here: another try might first find
 * that the socket is shut down, and raise SIGPIPE. But after a part was sent the error is that of the next call. */
static bool io_has_failed(const struct io *io, int ready)
{
    int err = 0;
    socklen_t size = sizeof(err);

    if (!(ready & POLLERR) || io->events != POLLOUT)
        return false;
    if (io->has_moved && ready & POLLHUP) /* without that it may be the queue of MSG_ZEROCOPY */
        return true;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0 || err == 0)
        return false;
    errno = err;
    return true;
}

static bool io_await_ready(struct io *io)
{
    int ready = wait_fd(io->fd, io->events, io->deadline);

    if (!io_parked(io, ready))
        return false;
    if (ready < 0) /* restarted */
        return true;
    if (io->events == POLLOUT)
        io->state = IO_PAUSES; /* if the next try would block */
    return !io_has_failed(io, ready);
}

bool io_blocked(struct io *io)
{
    bool first = io->state == IO_NEW;

    if (first)
        io->state = io_choose(io);
    switch (io->state) {
    case IO_AWAITS:
        return io_await_ready(io);
    case IO_PAUSES:
        return io_pause(io);
    default:
        errno = EAGAIN;
        return first &&
               io->state == IO_KERNEL; /* if not the first: SO_RCVTIMEO or SO_SNDTIMEO, which the kernel kept */
    }
}

bool io_pause(struct io *io)
{
    return io_parks(io) && io_parked(io, park_backoff_for(FOR_SOCKET, io->fd, &io->backoff, io->deadline));
}

static bool io_is_ready(const struct io *io)
{
    struct pollfd look = {.fd = io->fd, .events = io->events};

    return real()->poll(&look, 1, 0) != 0;
}

bool io_await(struct io *io)
{
    while (!io_is_ready(io) && io_parks(io))
        if (!io_parked(io, wait_fd(io->fd, io->events, io->deadline)))
            return false;
    return true;
}
