/*
 * disk.h: calls on disk files and directories, which take long now and then, and for which nothing can be awaited.
 *
 * A call is made here, on the loop's thread, or on a thread of the pool while the coroutine parks. Outside of
 * coroutines, and in a child of vfork, it is always made here. Each function returns what fn(arg) does, or the system
 * call, with its errno.
 */
#ifndef LIBC_DISK_H
#define LIBC_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef long disk_fn(void *arg);

/* On the pool. */
long disk_offload(disk_fn *fn, void *arg);

/* By what calls on the file system cost lately: here if they are quick. at and path are as in openat(2); fd is open. */
long disk_run_path(int at, const char *path, disk_fn *fn, void *arg);
long disk_run_fd(int fd, disk_fn *fn, void *arg);

/* The parts of disk_run_path: while nothing is watched (a file system that is slow, or calls because one took long),
 * make the call, then say how many nanoseconds it took. On a coroutine. */
extern unsigned disk_watches;
void disk_took(int64_t took);

/* Runs for system calls, in the manner of syscall(2). */
struct disk_call {
    long number;
    long args[5];
};
long disk_call_offload(struct disk_call call);
long disk_call_path(int at, const char *path, struct disk_call call);
long disk_call_fd(int fd, struct disk_call call);

/* The real sendfile(2), on the pool if what is at that offset of the file `from` must be read from a disk. */
long disk_sendfile(int to, int from, off_t *offset, off_t at, size_t size);

/* Whether fd is a file or a disk, which poll(2) calls always ready. Takes a system call. */
bool disk_has(int fd);

/* Whether the bytes of a file from offset on, up to size of them, are in memory. Looks at the first one, and in a
 * large piece at the last. True also if the file system does not tell. */
bool disk_is_cached(int fd, off_t offset, size_t size);

#endif
