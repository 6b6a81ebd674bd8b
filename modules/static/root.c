/*
 * root.c: opens files below the root folder, and none outside of it.
 *
 * openat2 with RESOLVE_BENEATH makes the kernel refuse a path, or a symbolic link on the way, that leads out of the
 * folder. Comparing names first (realpath, then open) would leave a gap in which somebody can replace a link. openat2
 * also refuses absolute links that lead back inside, and old kernels and some container sandboxes do not have it. Then
 * the file is looked up with O_PATH, which opens nothing yet, the kernel is asked for the name of what was found, and
 * that inode is opened if its name is below that of the root.
 *
 * The root is opened again once a second: releases are often deployed by replacing a symbolic link on the way to it, or
 * by writing the folder again. While a request looks up a path in the old one that stays open.
 *
 * A path that the kernel has in memory is looked up at once, any other on a thread of the pool (RESOLVE_CACHED). Where
 * openat2 is not used, open goes there by itself if the file system is slow.
 */
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "syncless.h"

#ifndef RESOLVE_CACHED /* Linux 5.12 */
#define RESOLVE_CACHED 0x20
#endif

/* A descriptor of the folder, O_PATH, with those who use it. */
struct root_folder {
    int fd;
    unsigned users; /* the root, and requests that look up a path in it */
    char *name;     /* owned; the kernel's when it was last asked for, or NULL */
};

/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int open_folder(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static struct root_folder *folder_new(int fd)
{
    struct root_folder *folder = sl_must(malloc(sizeof(*folder)));

    *folder = (struct root_folder){.fd = fd, .users = 1};
    return folder;
}

static void folder_leave(struct root_folder *folder)
{
    if (--folder->users > 0)
        return;
    close(folder->fd);
    free(folder->name);
    free(folder);
}

/* A path to look up below dirfd. */
struct lookup {
    int dirfd;
    const char *path;
    uint64_t resolve; /* RESOLVE_CACHED, or 0 */
};

/* Returns a descriptor or -errno. */
static int open_beneath(void *arg)
{
    const struct lookup *l = arg;
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | l->resolve};
    long fd = syscall(SYS_openat2, l->dirfd, l->path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

/* Returns whether this kernel, and the sandbox we may run in, let us use openat2 so: 0 or -errno. */
static int try_openat2(int dirfd, uint64_t resolve)
{
    int fd = open_beneath(&(struct lookup){dirfd, ".", resolve});

    if (fd >= 0)
        close(fd);
    return fd == -ENOSYS || fd == -EPERM || fd == -EINVAL ? fd : 0;
}

int root_start(struct root *root, const char *path, bool follow)
{
    int fd = open_folder(path);

    *root = (struct root){.path = path, .follow = follow};
    if (fd < 0) {
        sl_log(NULL, SL_ERROR, "static: cannot open the root %s: %s", path, strerror(-fd));
        return fd;
    }
    root->folder = folder_new(fd);
    root->openat2 = try_openat2(fd, 0) == 0;
    root->cached = root->openat2 && try_openat2(fd, RESOLVE_CACHED) == 0;
    if (!root->openat2 && !follow && access("/proc/self/fd", X_OK) < 0) {
        sl_log(NULL, SL_ERROR,
               "static: symbolic links below %s cannot be checked: the system has no openat2(2), and /proc is not "
               "mounted; mount it, or set follow-symlinks = on",
               path);
        root_stop(root);
        return -ENOSYS;
    }
    return 0;
}

void root_stop(struct root *root)
{
    folder_leave(root->folder);
    root->folder = NULL;
}

/* Open the root again if that was last done in another second. If it fails, a deployment may be under way, and the old
 * descriptor stays. */
static void root_refresh(struct root *root)
{
    struct timespec now;
    int fd;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec == root->checked)
        return;
    root->checked = now.tv_sec;
    fd = open_folder(root->path);
    if (fd < 0) {
        sl_log(NULL, SL_WARN, "static: cannot open the root %s again: %s", root->path, strerror(-fd));
        return;
    }
    folder_leave(root->folder);
    root->folder = folder_new(fd);
}

static bool is_well_known(const char *segment, size_t size)
{
    return size == strlen(".well-known") && !memcmp(segment, ".well-known", size);
}

bool root_allows(const char *path, bool hidden)
{
    bool first = true;
    size_t size;

    for (path += strspn(path, "/"); *path; path += size + strspn(path + size, "/")) {
        size = strcspn(path, "/");
        if (path[0] == '.' && (size == 1 || (size == 2 && path[1] == '.')))
            return false;
        if (path[0] == '.' && !hidden && !(first && is_well_known(path, size)))
            return false;
        first = false;
    }
    return true;
}

#define LINK_SIZE sizeof("/proc/self/fd/-2147483648")

static void format_fd_link(int fd, char link[LINK_SIZE])
{
    snprintf(link, LINK_SIZE, "/proc/self/fd/%d", fd);
}

/* Store the kernel's name for an open file. Returns its length, or -1. */
static ssize_t fd_name(int fd, char *name, size_t size)
{
    char link[LINK_SIZE];
    ssize_t n;

    format_fd_link(fd, link);
    n = syscall(SYS_readlinkat, AT_FDCWD, link, name, size - 1); /* not a disk: readlink() looks at the clock */
    if (n >= 0)
        name[n] = '\0';
    return n;
}

static bool name_is_below(const char *folder, const char *name)
{
    size_t size = strlen(folder);

    return size == 1 /* "/" */ || (!strncmp(name, folder, size) && (name[size] == '/' || name[size] == '\0'));
}

/* The folder may have been renamed since it was last asked for its name. */
static bool is_below(struct root_folder *folder, int fd)
{
    char now[PATH_MAX], name[PATH_MAX];

    if (fd_name(fd, name, sizeof(name)) < 0)
        return false;
    if (folder->name && name_is_below(folder->name, name))
        return true;
    if (fd_name(folder->fd, now, sizeof(now)) < 0)
        return false;
    free(folder->name);
    folder->name = sl_must(strdup(now));
    return name_is_below(now, name);
}

/* Open what the O_PATH descriptor found refers to, for reading. It is in memory since it was found. */
static int open_found(int found)
{
    char link[LINK_SIZE];
    int fd;

    format_fd_link(found, link);
    fd = (int)syscall(SYS_openat, AT_FDCWD, link, OPEN_FLAGS, 0);
    return fd < 0 ? -errno : fd;
}

static int open_checked(struct root_folder *folder, const char *path)
{
    int found = openat(folder->fd, path, O_PATH | O_CLOEXEC);
    int fd;

    if (found < 0)
        return -errno;
    fd = is_below(folder, found) ? open_found(found) : -EXDEV;
    close(found);
    return fd;
}

/* Look up a path: at once, or if it is not in memory on the pool. Returns a descriptor or -errno. */
static int open_beneath_anywhere(const struct root *root, int dirfd, const char *path)
{
    struct lookup lookup = {dirfd, path, root->cached ? RESOLVE_CACHED : 0};
    int fd = open_beneath(&lookup);

    if (fd != -EAGAIN || !root->cached)
        return fd;
    lookup.resolve = 0;
    return sl_offload(open_beneath, &lookup);
}

static int open_any(const struct root *root, struct root_folder *folder, const char *path)
{
    int fd;

    if (root->follow) {
        fd = openat(folder->fd, path, OPEN_FLAGS);
        return fd < 0 ? -errno : fd;
    }
    if (!root->openat2)
        return open_checked(folder, path);
    fd = open_beneath_anywhere(root, folder->fd, path);
    if (fd == -EXDEV || fd == -EAGAIN) /* an absolute link, or one with ".." while something was renamed */
        fd = open_checked(folder, path);
    return fd;
}

int root_open(struct root *root, const char *path, struct stat *st)
{
    struct root_folder *folder;
    int err = 0, fd;

    root_refresh(root);
    folder = root->folder;
    folder->users++;
    fd = open_any(root, folder, *path ? path : ".");
    folder_leave(folder);
    if (fd < 0)
        return fd;
    if (fstat(fd, st) < 0)
        err = -errno;
    else if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        err = -EOPNOTSUPP;
    if (err == 0)
        return fd;
    close(fd);
    return err;
}
