/*
 * io.h: one call on a descriptor, made on a coroutine. The caller's loop is
 *
 *     do
 *         result = real()->call(io.fd, ..., io.dontwait);
 *     while (result < 0 && io_again(&io));
 *     return io_end(&io, result);
 *
 * where the call can be made without waiting, and io_await before the call where it cannot.
 */
#ifndef LIBC_IO_H
#define LIBC_IO_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "libc/runtime/park.h"

/* What happens when the call would block; see io.c. */
enum io_state {
    IO_NEW,    /* it has not happened yet */
    IO_NEVER,  /* the call fails: the caller does not want to wait */
    IO_KERNEL, /* the kernel waits: a child of vfork cannot park, and who forks stays alone */
    IO_AWAITS, /* park until the descriptor is ready */
    IO_PAUSES, /* park for a pause: it is ready, and blocks all the same */
};

struct io {
    int fd;
    short events;   /* POLLIN or POLLOUT, by which poll(2) shows that the call does not block */
    bool has_moved; /* a try has moved some bytes */
    enum io_state state;
    int dontwait; /* the flag for each try: MSG_DONTWAIT; 0 in IO_KERNEL */
    int saved_errno;
    int64_t deadline; /* of IO_AWAITS and IO_PAUSES together */
    struct park_backoff backoff;
};

static inline struct io io_in(int fd)
{
    return (struct io){.fd = fd, .events = POLLIN, .dontwait = MSG_DONTWAIT, .saved_errno = errno};
}

static inline struct io io_out(int fd)
{
    return (struct io){.fd = fd, .events = POLLOUT, .dontwait = MSG_DONTWAIT, .saved_errno = errno};
}

/* A try would have blocked: park, if the state says so. Returns true if it is to be made again; false with the errno
 * for the caller. */
bool io_blocked(struct io *io);

/* The same after any try that has failed with errno. */
static inline bool io_again(struct io *io)
{
    return errno == EAGAIN && io_blocked(io);
}

/* A try has moved some bytes, but not all. */
static inline void io_moved(struct io *io)
{
    io->has_moved = true;
    if (io->state == IO_PAUSES)
        io->state = IO_AWAITS;
}

/* For calls that have no such flag: park until the call does not block. Returns false with errno if it must not be
 * made; true also in IO_NEVER and IO_KERNEL, where the call itself does what it should. */
bool io_await(struct io *io);

/* For calls that have failed and become possible without any notification: park for a pause. Returns false with errno
 * if they must not be made again. */
bool io_pause(struct io *io);

/* Returns the result for the caller, with the errno from before the call if it has succeeded. A coroutine whose calls
 * never wait lets others run now and then. */
static inline ssize_t io_end(const struct io *io, ssize_t result)
{
    if (result >= 0)
        errno = io->saved_errno;
    park_give_way();
    return result;
}

#endif
