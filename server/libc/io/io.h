/* io.h: one call on a descriptor, on a coroutine: try, look why it would block, park, try again. */
#ifndef LIBC_IO_H
#define LIBC_IO_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "libc/runtime/park.h"

enum io_how {
    IO_UNKNOWN, /* until the call would block for the first time */
    IO_PARKS,
    IO_NEVER,  /* the caller has asked for that, O_NONBLOCK, or is in error */
    IO_BLOCKS, /* a vfork child */
};

struct io {
    int fd;
    short events; /* what poll(2) shows when the call can go on */
    int timeout;  /* the socket option that limits it: SO_RCVTIMEO or SO_SNDTIMEO */
    int dontwait; /* MSG_DONTWAIT, or 0 once the kernel shall do the waiting */
    enum io_how how;
    int64_t deadline;
    int saved_errno;
    short ready;  /* what the last wait ended with */
    bool refused; /* it would have blocked although it had just become ready */
    struct park_backoff backoff;
};

static inline struct io io_in(int fd)
{
    return (struct io){
        .fd = fd, .events = POLLIN, .timeout = SO_RCVTIMEO, .dontwait = MSG_DONTWAIT, .saved_errno = errno};
}

static inline struct io io_out(int fd)
{
    return (struct io){
        .fd = fd, .events = POLLOUT, .timeout = SO_SNDTIMEO, .dontwait = MSG_DONTWAIT, .saved_errno = errno};
}

/* For calls that can be tried. After one has failed with errno: true if it would have blocked and it is time to try
 * again; false with the errno for the caller. */
bool io_again(struct io *io);

/* For calls that cannot be tried: wait until this one does not block. False with errno if it must not be made. */
bool io_await(struct io *io);

/* The same where nothing would tell: wait a little before the next try. */
bool io_pause(struct io *io);

/* What the caller gets: errno is as before the call if that succeeded. */
static inline ssize_t io_end(const struct io *io, ssize_t result)
{
    if (result >= 0)
        errno = io->saved_errno;
    return result;
}

/* The same for calls on sockets. A coroutine whose socket is always ready would never give way, and one fast peer could
 * hold up all others: after so many such calls in a row it goes to the end of the run queue. */
ssize_t io_end_fair(const struct io *io, ssize_t result);

/* Buffers of which the first bytes are done. */
struct io_rest {
    const struct iovec *iov;
    size_t count;
    size_t offset;     /* in the first of them */
    struct iovec part; /* what remains of that one */
};

/* Let msg name the buffers to use next. */
void io_rest_next(struct io_rest *rest, struct msghdr *msg);

/* Step over done bytes. */
void io_rest_done(struct io_rest *rest, size_t done);

size_t io_total(const struct iovec *iov, size_t count);

#endif
