/*
 * rw.c: read and write, on whatever the descriptor is.
 *
 * Nobody says what a descriptor is, so it is taken for a socket first: for a socket that is the one system call, for
 * anything else a cheap ENOTSOCK. Pipes, terminals, event and timer descriptors and the like are looked at by poll(2)
 * before; disk files are always ready there. Reading then does not block, unless another process that shares the pipe
 * is faster. Writing needs more care: a pipe is ready when PIPE_BUF bytes fit, so more than that goes out in pieces of
 * PIPE_BUF, each awaited; and a blocking write takes everything.
 */
#include <limits.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "libc/io/fortify.h"
#include "libc/io/io.h"
#include "base/real.h"
#include "libc/io/receive.h"
#include "libc/io/send.h"

/* ---- read ---- */

ssize_t read(int fd, void *buf, size_t size)
{
    struct io io = io_in(fd);
    ssize_t got;

    if (!coro_self() || size == 0)
        return real()->read(fd, buf, size);
    got = receive_from(&io, buf, size, 0, NULL, NULL);
    if (got < 0 && errno == ENOTSOCK)
        got = io_await(&io) ? real()->read(fd, buf, size) : -1;
    return io_end(&io, got);
}

ssize_t __read_chk(int fd, void *buf, size_t size, size_t room)
{
    if (size > room)
        __chk_fail();
    return read(fd, buf, size);
}

/* Whether the kernel would look at the descriptor at all. */
static bool is_plain(const struct iovec *iov, int count)
{
    return count > 0 && count <= IOV_MAX && io_total(iov, (size_t)count) > 0;
}

ssize_t readv(int fd, const struct iovec *iov, int count)
{
    struct io io = io_in(fd);
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    ssize_t got;

    if (!coro_self() || !is_plain(iov, count))
        return real()->readv(fd, iov, count);
    got = receive_msg(&io, &msg, 0);
    if (got < 0 && errno == ENOTSOCK)
        got = io_await(&io) ? real()->readv(fd, iov, count) : -1;
    return io_end(&io, got);
}

int eventfd_read(int fd, eventfd_t *value)
{
    return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

/* ---- write ---- */

static bool is_pipe(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static ssize_t write_pieces(struct io *io, const char *buf, size_t size)
{
    size_t done = 0;
    ssize_t put = 0;

    while (done < size) {
        size_t piece = size - done;

        if (!io_await(io)) {
            put = -1;
            break;
        }
        if (piece > PIPE_BUF && io->how != IO_BLOCKS)
            piece = PIPE_BUF;
        put = real()->write(io->fd, buf + done, piece);
        if (put < 0)
            break;
        done += (size_t)put;
    }
    return done > 0 ? (ssize_t)done : put;
}

static ssize_t write_other(struct io *io, const void *buf, size_t size)
{
    if (size > PIPE_BUF && is_pipe(io->fd))
        return write_pieces(io, buf, size);
    return io_await(io) ? real()->write(io->fd, buf, size) : -1;
}

ssize_t write(int fd, const void *buf, size_t size)
{
    struct io io = io_out(fd);
    ssize_t put;

    if (!coro_self() || size == 0)
        return real()->write(fd, buf, size);
    put = send_to(&io, buf, size, 0, NULL, 0);
    if (put < 0 && errno == ENOTSOCK)
        put = write_other(&io, buf, size);
    return io_end(&io, put);
}

static ssize_t writev_pieces(struct io *io, const struct iovec *iov, int count)
{
    ssize_t done = 0, put = 0;

    for (int i = 0; i < count; i++) {
        put = write_pieces(io, iov[i].iov_base, iov[i].iov_len);
        if (put > 0)
            done += put;
        if (put != (ssize_t)iov[i].iov_len)
            break;
    }
    return done > 0 ? done : put;
}

static ssize_t writev_other(struct io *io, const struct iovec *iov, int count)
{
    if (io_total(iov, (size_t)count) > PIPE_BUF && is_pipe(io->fd))
        return writev_pieces(io, iov, count);
    return io_await(io) ? real()->writev(io->fd, iov, count) : -1;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    struct io io = io_out(fd);
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    ssize_t put;

    if (!coro_self() || !is_plain(iov, count))
        return real()->writev(fd, iov, count);
    put = send_msg(&io, &msg, 0);
    if (put < 0 && errno == ENOTSOCK)
        put = writev_other(&io, iov, count);
    return io_end(&io, put);
}

int eventfd_write(int fd, eventfd_t value)
{
    return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}
