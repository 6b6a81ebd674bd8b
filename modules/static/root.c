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
 * by writing the folder again.
 */
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "syncless.h"

/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int open_folder(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static int open_beneath(int dirfd, const char *path)
{
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH};
    long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

/* Whether this kernel, and the sandbox we may run in, let us use openat2. */
static bool openat2_works(int dirfd)
{
    int fd = open_beneath(dirfd, ".");

    if (fd >= 0)
        close(fd);
    return fd != -ENOSYS && fd != -EPERM;
}

int root_start(struct root *root, const char *path, bool follow)
{
    *root = (struct root){.path = path, .follow = follow, .fd = open_folder(path)};
    if (root->fd < 0) {
        sl_log(NULL, SL_ERROR, "static: cannot open the root %s: %s", path, strerror(-root->fd));
        return root->fd;
    }
    root->openat2 = openat2_works(root->fd);
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
    close(root->fd);
    root->fd = -1;
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
    close(root->fd);
    root->fd = fd;
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
    n = readlink(link, name, size - 1);
    if (n >= 0)
        name[n] = '\0';
    return n;
}

static bool is_below(int root, int fd)
{
    char folder[PATH_MAX], name[PATH_MAX];
    ssize_t size = fd_name(root, folder, sizeof(folder));

    if (size < 0 || fd_name(fd, name, sizeof(name)) < 0)
        return false;
    if (size == 1) /* "/" */
        return true;
    return !strncmp(name, folder, (size_t)size) && (name[size] == '/' || name[size] == '\0');
}

/* Open what the O_PATH descriptor found refers to, for reading. */
static int open_found(int found)
{
    char link[LINK_SIZE];
    int fd;

    format_fd_link(found, link);
    fd = open(link, OPEN_FLAGS);
    return fd < 0 ? -errno : fd;
}

static int open_checked(int root, const char *path)
{
    int found = openat(root, path, O_PATH | O_CLOEXEC);
    int fd;

    if (found < 0)
        return -errno;
    fd = is_below(root, found) ? open_found(found) : -EXDEV;
    close(found);
    return fd;
}

static int open_any(const struct root *root, const char *path)
{
    int fd;

    if (root->follow) {
        fd = openat(root->fd, path, OPEN_FLAGS);
        return fd < 0 ? -errno : fd;
    }
    if (!root->openat2)
        return open_checked(root->fd, path);
    fd = open_beneath(root->fd, path);
    if (fd == -EXDEV || fd == -EAGAIN) /* an absolute link, or one with ".." while something was renamed */
        fd = open_checked(root->fd, path);
    return fd;
}

int root_open(struct root *root, const char *path, struct stat *st)
{
    int err = 0, fd;

    root_refresh(root);
    fd = open_any(root, *path ? path : ".");
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
