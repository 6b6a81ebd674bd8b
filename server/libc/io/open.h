/* open.h: opening a file that may wait: a FIFO or a device. */
#ifndef LIBC_OPEN_H
#define LIBC_OPEN_H

#include <stdbool.h>
#include <sys/types.h>

/* The arguments of openat. */
struct opening {
    int dirfd;
    const char *path;
    int flags;
    mode_t mode;
};

/* Whether it may wait, on this coroutine. Only then it takes a system call to find out. */
bool opening_may_wait(const struct opening *o);

/* Open one that may wait. Returns the descriptor, or -1 with errno. */
int opening_wait(struct opening *o);

#endif
