/*
 * file.c: reading and writing of files on a coroutine.
 *
 * preadv2(2) with RWF_NOWAIT reads what is in the page cache, and says EAGAIN if nothing is; then a thread of the pool
 * reads. If it returns less than was asked for, either the file ends there, or the rest is not in the cache, which is
 * so only at a multiple of the block size. Some file systems do not have the flag. These, and all writes, which few can
 * do in that way, go by what the file system has cost lately (disk/disk.c). So do small amounts only: to copy a large
 * one takes as long as a disk, wherever it comes from.
 */
#include "libc/io/file.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/real.h"
#include "coro/coro.h"
#include "libc/disk/disk.h"
#include "libc/io/iov.h"

#define LARGE 1048576 /* bytes */
#define BLOCK 512     /* what every block size is a multiple of */

struct transfer {
    int fd;
    const struct iovec *iov;
    int count;
    off_t at;
    int flags;
};

static long transfer_read(void *arg)
{
    const struct transfer *t = arg;

    return real()->preadv2(t->fd, t->iov, t->count, t->at, t->flags);
}

static long transfer_write(void *arg)
{
    const struct transfer *t = arg;

    return real()->pwritev2(t->fd, t->iov, t->count, t->at, t->flags);
}

static bool is_large(const struct iovec *iov, int count)
{
    return iov_total(iov, (size_t)count) > LARGE;
}

/* ---- reading ---- */

static ssize_t file_read_cached(const struct transfer *t)
{
    return real()->preadv2(t->fd, t->iov, t->count, t->at, t->flags | RWF_NOWAIT);
}

/* Whether a read that has got so many bytes may have stopped because the next are not in the cache. */
static bool file_may_go_on(const struct transfer *t, ssize_t got)
{
    int saved = errno;
    off_t end = t->at == AT_POSITION ? lseek(t->fd, 0, SEEK_CUR) : t->at + got;

    errno = saved;
    return end > 0 && end % BLOCK == 0 && disk_has(t->fd);
}

/* The rest of a read that has got so many bytes. Returns the bytes of both; an error is left to the next call. */
static ssize_t file_read_rest(const struct transfer *t, ssize_t got)
{
    struct iov_rest rest = {.iov = t->iov, .count = (size_t)t->count};
    struct transfer more = *t;
    struct msghdr next = {0};
    int saved = errno;
    ssize_t added;

    iov_rest_skip(&rest, (size_t)got);
    iov_rest_next(&rest, &next);
    more.iov = next.msg_iov;
    more.count = (int)next.msg_iovlen;
    if (t->at != AT_POSITION)
        more.at = t->at + got;
    added = file_read_cached(&more);
    if (added < 0 && errno == EAGAIN)
        added = disk_offload(transfer_read, &more);
    errno = saved;
    return added > 0 ? got + added : got;
}

ssize_t file_read(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    struct transfer t = {fd, iov, count, at, flags};
    size_t size = iov_total(iov, (size_t)count);
    ssize_t got, more;

    if (is_large(iov, count) && disk_has(fd))
        return disk_offload(transfer_read, &t);
    got = file_read_cached(&t);
    if (got < 0 && errno == EAGAIN && at != AT_POSITION)
        return disk_offload(transfer_read, &t);
    while (got > 0 && (size_t)got < size && file_may_go_on(&t, got) && (more = file_read_rest(&t, got)) > got)
        got = more;
    return got;
}

ssize_t file_read_ready(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    struct transfer t = {fd, iov, count, at, flags};

    return errno == EAGAIN && disk_has(fd) ? disk_offload(transfer_read, &t) : disk_run_fd(fd, transfer_read, &t);
}

/* ---- writing ---- */

ssize_t file_write(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    struct transfer t = {fd, iov, count, at, flags};

    if (is_large(iov, count) && disk_has(fd))
        return disk_offload(transfer_write, &t);
    return disk_run_fd(fd, transfer_write, &t);
}
