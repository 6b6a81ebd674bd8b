/* root.h: opens files below the root folder, and none outside of it. */
#ifndef ROOT_H
#define ROOT_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

struct root_folder;

struct root {
    const char *path; /* borrowed */
    bool follow;      /* symbolic links may lead out of it */
    bool openat2;     /* the kernel has the call, and the sandbox allows it */
    bool cached;      /* and can look up a path in memory only */
    struct root_folder *folder;
    time_t checked; /* CLOCK_MONOTONIC second in which folder was opened */
};

/* Open the folder. Returns 0; or -errno, and logs why. */
int root_start(struct root *root, const char *path, bool follow);

/* Close it. */
void root_stop(struct root *root);

/* Whether the decoded path of a URL may be looked up: no segment is "." or "..", and unless hidden is true none begins
 * with a dot, except /.well-known/ (RFC 8615). */
bool root_allows(const char *path, bool hidden);

/* Open the regular file or folder at path, relative to the root, for reading; "" is the root itself. Does not
 * wait as open does for a FIFO, but may for a disk. Returns a descriptor, which the caller closes, and stores the
 * result of fstat; -EXDEV if a symbolic link leads out of the root, -EOPNOTSUPP for devices, FIFOs and sockets, or the
 * error of open(2). */
int root_open(struct root *root, const char *path, struct stat *st);

#endif
