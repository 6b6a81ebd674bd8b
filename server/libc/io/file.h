/* file.h: reading and writing of files on a coroutine, which must not wait for a disk on the loop's thread. */
#ifndef LIBC_FILE_H
#define LIBC_FILE_H

#include <sys/uio.h>

#define AT_POSITION (-1) /* in place of an offset: the position of the open file, as for read(2) */

/* Read what is in memory, and if fd is a file the rest of it on the pool. The vector is valid and not empty. Returns -1
 * with EAGAIN or EOPNOTSUPP if fd is to be awaited first, for all that is known; then comes file_read_ready. */
ssize_t file_read(int fd, const struct iovec *iov, int count, off_t at, int flags);

/* Read from a descriptor that poll(2) calls ready. */
ssize_t file_read_ready(int fd, const struct iovec *iov, int count, off_t at, int flags);

/* The same for writing; all files are ready. */
ssize_t file_write(int fd, const struct iovec *iov, int count, off_t at, int flags);

/* pread.c: preadv2 and pwritev2 at an offset. */
ssize_t file_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t file_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags);

#endif
