/* kind.h: what a descriptor is. Each takes a system call, and is false if it is no descriptor at all. */
#ifndef LIBC_KIND_H
#define LIBC_KIND_H

#include <stdbool.h>

#include "coro/coro.h"

bool kind_is_pipe(int fd);
bool kind_is_file(int fd); /* with a position: a regular file, a directory or a block device */
bool kind_is_socket(int fd);
bool kind_is_stream(int fd); /* a socket of type SOCK_STREAM */

/* Whether a call on fd is libc's: outside of coroutines, and on a file by a coroutine that is away upon a thread of the
 * pool, where disks are waited for. For another descriptor such a coroutine comes home. */
static inline bool kind_passes(int fd)
{
    return !coro_current && (!coro_guest || kind_is_file(fd) || !coro_self());
}

#endif
