/*
 * rw.c: read, readv, write, writev and the like, on any kind of descriptor.
 *
 * The kind is not known, so a descriptor is first treated as a socket: if it is one, that is the only system call; if
 * not, it fails cheaply with ENOTSOCK. What is there in a file or a pipe is then read at once (file.c). Else pipes,
 * terminals, event and timer descriptors and the like are awaited by poll(2), which calls disk files always ready.
 * After that a read does not block, unless another process that shares the pipe reads first. A write may: a pipe is
 * writable as soon as PIPE_BUF bytes fit. So more than that is written in pieces of PIPE_BUF, each of which is awaited,
 * until all is written, as a blocking write does.
 */
#include <limits.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "base/array.h"
#include "base/real.h"
#include "libc/io/file.h"
#include "libc/io/fortify.h"
#include "libc/io/io.h"
#include "libc/io/iov.h"
#include "libc/io/kind.h"
#include "libc/io/receive.h"
#include "libc/io/send.h"

/* ---- read ---- */

static ssize_t read_non_socket(struct io *io, const struct iovec *iov, int count)
{
    ssize_t got = file_read(io->fd, iov, count, AT_POSITION, 0);
    int why = errno;

    if (got >= 0 || (why != EAGAIN && why != EOPNOTSUPP && why != EINVAL && why != ENOSYS))
        return got;
    if (!io_await(io))
        return -1;
    errno = why;
    return file_read_ready(io->fd, iov, count, AT_POSITION, 0);
}

ssize_t read(int fd, void *buf, size_t size)
{
    struct io io = io_in(fd);
    ssize_t got;

    if (size == 0 || kind_passes(fd))
        return real()->read(fd, buf, size);
    got = receive_from(&io, buf, size, 0, NULL, NULL);
    if (got < 0 && errno == ENOTSOCK)
        got = read_non_socket(&io, &(struct iovec){buf, size}, 1);
    return io_end(&io, got);
}

ssize_t __read_chk(int fd, void *buf, size_t size, size_t capacity)
{
    if (size > capacity)
        __chk_fail();
    return read(fd, buf, size);
}

/* Whether the vector is valid and not empty. If not, the kernel's answer does not depend on the descriptor. */
static bool iov_is_usable(const struct iovec *iov, int count)
{
    return count > 0 && count <= IOV_MAX && iov_total(iov, (size_t)count) > 0;
}

ssize_t readv(int fd, const struct iovec *iov, int count)
{
    struct io io = io_in(fd);
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    ssize_t got;

    if (!iov_is_usable(iov, count) || kind_passes(fd))
        return real()->readv(fd, iov, count);
    got = receive_msg(&io, &msg, 0);
    if (got < 0 && errno == ENOTSOCK)
        got = read_non_socket(&io, iov, count);
    return io_end(&io, got);
}

int eventfd_read(int fd, eventfd_t *value)
{
    return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

/* ---- write ---- */

static ssize_t write_piece(const struct io *io, const char *buf, size_t size)
{
    return real()->write(io->fd, buf, io->state == IO_KERNEL ? size : min_size(size, PIPE_BUF));
}

static ssize_t write_pieces(struct io *io, const char *buf, size_t size)
{
    size_t done = 0;
    ssize_t put = 0;

    while (done < size) {
        put = io_await(io) ? write_piece(io, buf + done, size - done) : -1;
        if (put < 0)
            break;
        done += (size_t)put;
        park_give_way();
    }
    return done > 0 ? (ssize_t)done : put;
}

static ssize_t write_non_socket(struct io *io, const void *buf, size_t size)
{
    if (size > PIPE_BUF && kind_is_pipe(io->fd))
        return write_pieces(io, buf, size);
    return io_await(io) ? file_write(io->fd, &(struct iovec){(void *)buf, size}, 1, AT_POSITION, 0) : -1;
}

ssize_t write(int fd, const void *buf, size_t size)
{
    struct io io = io_out(fd);
    ssize_t put;

    if (size == 0 || kind_passes(fd))
        return real()->write(fd, buf, size);
    put = send_to(&io, buf, size, 0, NULL, 0);
    if (put < 0 && errno == ENOTSOCK)
        put = write_non_socket(&io, buf, size);
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

static ssize_t writev_non_socket(struct io *io, const struct iovec *iov, int count)
{
    if (iov_total(iov, (size_t)count) > PIPE_BUF && kind_is_pipe(io->fd))
        return writev_pieces(io, iov, count);
    return io_await(io) ? file_write(io->fd, iov, count, AT_POSITION, 0) : -1;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    struct io io = io_out(fd);
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    ssize_t put;

    if (!iov_is_usable(iov, count) || kind_passes(fd))
        return real()->writev(fd, iov, count);
    put = send_msg(&io, &msg, 0);
    if (put < 0 && errno == ENOTSOCK)
        put = writev_non_socket(&io, iov, count);
    return io_end(&io, put);
}

int eventfd_write(int fd, eventfd_t value)
{
    return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}

/* ---- preadv2 and pwritev2 ---- */

/* Whether it is the same as without an offset and flags, which are for disk files. */
static bool rw_is_plain(int fd, off_t offset, int flags)
{
    return coro_here() && offset == -1 && !(flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC)) && !kind_is_file(fd);
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    return rw_is_plain(fd, offset, flags) ? readv(fd, iov, count) : file_preadv2(fd, iov, count, offset, flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    return rw_is_plain(fd, offset, flags) ? writev(fd, iov, count) : file_pwritev2(fd, iov, count, offset, flags);
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
    __attribute__((alias("preadv2")));
ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
    __attribute__((alias("pwritev2")));
