/* root.h: opening files below the root folder, and none outside of it. */
#ifndef ROOT_H
#define ROOT_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

struct root {
    const char *path; /* borrowed */
    bool follow;      /* symbolic links may lead out of it */
    bool openat2;     /* the kernel has the call, and lets us use it */
    int fd;           /* the folder, O_PATH */
    time_t checked;   /* CLOCK_MONOTONIC second in which fd was opened */
};

/* Open the folder. 0 or -errno, said in the log. */
int root_start(struct root *root, const char *path, bool follow);
void root_stop(struct root *root);

/* Whether a decoded path of a URL may be looked up: it has no "." or ".." segment and, unless hidden is true, none that
 * begins with a dot, but for /.well-known/ (RFC 8615). */
bool root_allows(const char *path, bool hidden);

/* Open the regular file or folder at path, relative to the root, for reading, without waiting for anybody; "" is the
 * root itself. Returns the descriptor, for the caller to close, and what fstat says of it; or -EXDEV if a symbolic link
 * leads out of the root, -EOPNOTSUPP for devices, FIFOs and sockets, or what open(2) says. */
int root_open(struct root *root, const char *path, struct stat *st);

#endif
