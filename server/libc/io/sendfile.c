/*
 * sendfile.c: sendfile, splice, tee and vmsplice.
 *
 * sendfile(2) to a blocking socket cannot be told not to block, and the kernel does not say how much would fit. So the
 * bytes are read and sent here. Only applications with blocking sockets pay for that copy: for sockets with O_NONBLOCK
 * it is the real sendfile, on the pool if the file is not in memory. A pipe gets as many bytes at once as are sure to
 * fit. splice, tee and vmsplice have a flag for their pipes; a socket at the other end of a splice is awaited, and
 * given at most as many bytes as are sure to fit.
 */
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/real.h"
#include "libc/disk/disk.h"
#include "libc/io/io.h"
#include "libc/io/kind.h"
#include "libc/io/send.h"

#define COPY_SIZE 16384 /* bytes */

/* ---- sendfile ---- */

static bool sendfile_passes(int out)
{
    return !coro_self() || real()->fcntl(out, F_GETFL) & O_NONBLOCK; /* true also if out is no descriptor: -1 */
}

static bool sendfile_can_copy(int out, int in)
{
    struct stat st;

    return kind_is_socket(out) && fstat(in, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) &&
           park_possible();
}

/* Copy until the end of the file or an error. Returns the bytes sent, or -1 if there are none because of an error. */
static ssize_t sendfile_copy(struct io *io, int in, off_t *at, size_t count)
{
    char buf[COPY_SIZE];
    size_t done = 0;
    ssize_t put = 0;

    while (done < count) {
        put = pread(in, buf, min_size(count - done, sizeof(buf)), *at);
        if (put > 0)
            put = send_to(io, buf, (size_t)put, 0, NULL, 0);
        if (put <= 0)
            break;
        io_moved(io);
        done += (size_t)put;
        *at += put;
    }
    return done > 0 ? (ssize_t)done : put;
}

static ssize_t sendfile_by_copying(int out, int in, off_t *offset, size_t count)
{
    struct io io = io_out(out);
    off_t at = offset ? *offset : lseek(in, 0, SEEK_CUR);
    ssize_t put = sendfile_copy(&io, in, &at, count);

    if (offset)
        *offset = at;
    else
        lseek(in, at, SEEK_SET);
    return io_end(&io, put);
}

/* To anything else than a socket, in pieces that a pipe takes as a whole. */
static ssize_t sendfile_pieces(int out, int in, off_t *offset, size_t count)
{
    struct io io = io_out(out);
    size_t done = 0;
    ssize_t put;

    do {
        put = io_await(&io) ? real()->sendfile(out, in, offset, min_size(count - done, PIPE_BUF)) : -1;
        if (put > 0)
            done += (size_t)put;
        park_give_way();
    } while (put > 0 && done < count);
    return io_end(&io, done > 0 ? (ssize_t)done : put);
}

/* A call that does not wait for the socket. */
static ssize_t sendfile_at_once(int out, int in, off_t *offset, size_t count)
{
    off_t at = offset || !coro_self() ? 0 : lseek(in, 0, SEEK_CUR);

    if (!coro_self() || at < 0)
        return real()->sendfile(out, in, offset, count);
    return disk_sendfile(out, in, offset, offset ? *offset : at, count);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    struct io io = io_out(out);

    if (sendfile_passes(out))
        return sendfile_at_once(out, in, offset, count);
    if (sendfile_can_copy(out, in))
        return sendfile_by_copying(out, in, offset, count);
    if (kind_is_pipe(out))
        return sendfile_pieces(out, in, offset, count);
    return io_end(&io, io_await(&io) ? real()->sendfile(out, in, offset, count) : -1);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) __attribute__((alias("sendfile")));

/* ---- splice ---- */

/* Whether to try again because what was ready no longer is. */
static bool splice_again(struct io *from, const struct io *to)
{
    return errno == EAGAIN && from->state != IO_NEVER && to->state != IO_NEVER && io_pause(from);
}

ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size, unsigned flags)
{
    struct io from = io_in(in), to = io_out(out);
    ssize_t moved;

    if (!coro_self() || flags & SPLICE_F_NONBLOCK || !(kind_is_pipe(in) || kind_is_pipe(out)))
        return real()->splice(in, in_offset, out, out_offset, size, flags);
    if (size > PIPE_BUF && kind_is_socket(out))
        size = PIPE_BUF;
    do {
        if (!io_await(&from) || !io_await(&to))
            return -1;
        if (from.state != IO_KERNEL && to.state != IO_KERNEL)
            flags |= SPLICE_F_NONBLOCK;
        moved = real()->splice(in, in_offset, out, out_offset, size, flags);
    } while (moved < 0 && splice_again(&from, &to));
    return io_end(&from, moved);
}

/* ---- tee and vmsplice ---- */

ssize_t tee(int in, int out, size_t size, unsigned flags)
{
    struct io from = io_in(in), to = io_out(out);
    ssize_t copied;

    if (!coro_self() || flags & SPLICE_F_NONBLOCK || size == 0 || !kind_is_pipe(in) || !kind_is_pipe(out))
        return real()->tee(in, out, size, flags);
    do {
        if (!io_await(&from) || !io_await(&to))
            return -1;
        if (from.state != IO_KERNEL && to.state != IO_KERNEL)
            flags |= SPLICE_F_NONBLOCK;
        copied = real()->tee(in, out, size, flags);
    } while (copied < 0 && splice_again(&from, &to));
    return io_end(&from, copied);
}

/* Into a pipe, or out of it. The kernel too moves a part if not all fits. */
ssize_t vmsplice(int fd, const struct iovec *iov, size_t count, unsigned flags)
{
    int mode = coro_self() ? real()->fcntl(fd, F_GETFL) : -1;
    struct io io = (mode & O_ACCMODE) == O_RDONLY ? io_in(fd) : io_out(fd);
    ssize_t moved;

    if (mode < 0 || flags & SPLICE_F_NONBLOCK || !kind_is_pipe(fd))
        return real()->vmsplice(fd, iov, count, flags);
    do {
        if (!io_await(&io))
            return -1;
        if (io.state != IO_KERNEL)
            flags |= SPLICE_F_NONBLOCK;
        moved = real()->vmsplice(fd, iov, count, flags);
    } while (moved < 0 && errno == EAGAIN && io.state != IO_NEVER && io_pause(&io));
    return io_end(&io, moved);
}
