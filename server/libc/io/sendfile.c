/*
 * sendfile.c: sendfile and splice.
 *
 * sendfile(2) to a blocking socket cannot be told not to block, nor how much would fit, so for those the bytes are read
 * and sent from here. That costs a copy, and only applications with blocking sockets pay it: the server's own sockets
 * have O_NONBLOCK, for them and for anything but a socket it is the real sendfile. splice has a flag for its pipe; a
 * socket at the other end is awaited, and given no more at a time than is sure to fit.
 */
#include <limits.h>
#include <sys/stat.h>

#include "libc/io/io.h"
#include "base/real.h"
#include "libc/io/send.h"

#define COPY_SIZE 16384

static bool is_socket(int fd)
{
    int type;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

/* ---- sendfile ---- */

static bool is_nonblocking(int fd)
{
    return real()->fcntl(fd, F_GETFL) & O_NONBLOCK; /* true also for what is no descriptor */
}

static bool can_copy(int out, int in)
{
    struct stat st;

    return is_socket(out) && fstat(in, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) && park_possible();
}

/* Like the kernel, stop at the end of the file or an error; -1 if nothing was sent. */
static ssize_t copy(struct io *io, int in, off_t *at, size_t count)
{
    char buf[COPY_SIZE];
    size_t done = 0;
    ssize_t put = 0;

    while (done < count) {
        size_t piece = count - done < sizeof(buf) ? count - done : sizeof(buf);

        put = pread(in, buf, piece, *at);
        if (put > 0)
            put = send_to(io, buf, (size_t)put, 0, NULL, 0);
        if (put <= 0)
            break;
        done += (size_t)put;
        *at += put;
    }
    return done > 0 ? (ssize_t)done : put;
}

static ssize_t sendfile_copying(int out, int in, off_t *offset, size_t count)
{
    struct io io = io_out(out);
    off_t at = offset ? *offset : lseek(in, 0, SEEK_CUR);
    ssize_t put = copy(&io, in, &at, count);

    if (offset)
        *offset = at;
    else
        lseek(in, at, SEEK_SET);
    return io_end_fair(&io, put);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    struct io io = io_out(out);

    if (!coro_self() || is_nonblocking(out))
        return real()->sendfile(out, in, offset, count);
    if (can_copy(out, in))
        return sendfile_copying(out, in, offset, count);
    return io_end(&io, io_await(&io) ? real()->sendfile(out, in, offset, count) : -1);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) __attribute__((alias("sendfile")));

/* ---- splice ---- */

static bool is_pipe(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* Whether a splice failed because what was ready no longer is. */
static bool lost_race(struct io *from, const struct io *to)
{
    return errno == EAGAIN && from->how != IO_NEVER && to->how != IO_NEVER && io_pause(from);
}

ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size, unsigned flags)
{
    struct io from = io_in(in), to = io_out(out);
    ssize_t moved;

    if (!coro_self() || flags & SPLICE_F_NONBLOCK || !(is_pipe(in) || is_pipe(out)))
        return real()->splice(in, in_offset, out, out_offset, size, flags);
    if (size > PIPE_BUF && is_socket(out))
        size = PIPE_BUF;
    do {
        if (!io_await(&from) || !io_await(&to))
            return -1;
        if (from.dontwait && to.dontwait)
            flags |= SPLICE_F_NONBLOCK;
        moved = real()->splice(in, in_offset, out, out_offset, size, flags);
    } while (moved < 0 && lost_race(&from, &to));
    return io_end(&from, moved);
}
