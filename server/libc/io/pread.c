/*
 * pread.c: pread, preadv, pwrite and pwritev, and what preadv2 and pwritev2 of rw.c do at an offset.
 *
 * What has positions is a file, or a device that is as quick as memory. So nothing is awaited.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "base/real.h"
#include "coro/coro.h"
#include "libc/io/file.h"
#include "libc/io/fortify.h"
#include "libc/io/iov.h"

/* Whether the call is made as it is: outside of coroutines, by the caller's wish, or if the kernel refuses it. */
static bool vector_passes(const struct iovec *iov, int count, off_t at, int flags)
{
    return !coro_current || flags & RWF_NOWAIT || at < AT_POSITION || count <= 0 || count > IOV_MAX ||
           iov_total(iov, (size_t)count) == 0;
}

/* ---- reading ---- */

ssize_t file_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    int saved = errno;
    ssize_t got;

    if (vector_passes(iov, count, at, flags))
        return real()->preadv2(fd, iov, count, at, flags);
    got = file_read(fd, iov, count, at, flags);
    if (got < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS || errno == EAGAIN))
        got = file_read_ready(fd, iov, count, at, flags);
    if (got >= 0)
        errno = saved;
    return got;
}

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t at)
{
    return at < 0 ? real()->preadv(fd, iov, count, at) : file_preadv2(fd, iov, count, at, 0);
}

ssize_t pread(int fd, void *buf, size_t size, off_t at)
{
    struct iovec one = {buf, size};

    return coro_current && at >= 0 ? file_preadv2(fd, &one, 1, at, 0) : real()->pread(fd, buf, size, at);
}

ssize_t preadv64(int fd, const struct iovec *iov, int count, off64_t at) __attribute__((alias("preadv")));
ssize_t pread64(int fd, void *buf, size_t size, off64_t at) __attribute__((alias("pread")));
ssize_t __pread64(int fd, void *buf, size_t size, off64_t at) __attribute__((alias("pread")));

ssize_t __pread_chk(int fd, void *buf, size_t size, off_t at, size_t capacity)
{
    if (size > capacity)
        __chk_fail();
    return pread(fd, buf, size, at);
}

ssize_t __pread64_chk(int fd, void *buf, size_t size, off64_t at, size_t capacity)
    __attribute__((alias("__pread_chk")));

/* ---- writing ---- */

ssize_t file_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    if (vector_passes(iov, count, at, flags))
        return real()->pwritev2(fd, iov, count, at, flags);
    return file_write(fd, iov, count, at, flags);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    return at < 0 ? real()->pwritev(fd, iov, count, at) : file_pwritev2(fd, iov, count, at, 0);
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t at)
{
    struct iovec one = {(void *)buf, size};

    return coro_current && at >= 0 ? file_pwritev2(fd, &one, 1, at, 0) : real()->pwrite(fd, buf, size, at);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at) __attribute__((alias("pwritev")));
ssize_t pwrite64(int fd, const void *buf, size_t size, off64_t at) __attribute__((alias("pwrite")));
ssize_t __pwrite64(int fd, const void *buf, size_t size, off64_t at) __attribute__((alias("pwrite")));
