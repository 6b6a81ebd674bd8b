/* open.h: opening a file that may wait: a FIFO or a device. */
#ifndef LIBC_OPEN_H
#define LIBC_OPEN_H

#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/types.h>

/* The arguments of openat. */
struct opening {
    int dirfd;
    const char *path;
    int flags;
    mode_t mode;
    const struct open_how *how; /* of openat2, with other flags and mode; NULL: openat */
};

/* Whether it may wait, on this coroutine. Only then it takes a system call to find out. */
bool opening_may_wait(const struct opening *o);

/* Open one that may wait. Returns the descriptor, or -1 with errno. */
int opening_wait(struct opening *o);

/* Declared by glibc from 2.43 on. */
int openat2(int dirfd, const char *path, const struct open_how *how, size_t size);

/* openat2 on a coroutine. Returns the descriptor, or -1 with errno. */
int opening_openat2(int dirfd, const char *path, const struct open_how *how, size_t size);

#endif
