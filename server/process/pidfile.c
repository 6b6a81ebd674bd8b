/*
 * pidfile.c: the file with the pid of the master.
 *
 * It is written under another name and renamed, so that nobody ever reads half a number. As in nginx it is called
 * PATH.oldbin during an upgrade.
 */
#include "process/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/guarded_open.h"

/* Write path and suffix into out, which has PATH_MAX bytes. Returns out. */
static const char *pidfile_name(char *out, const char *path, const char *suffix)
{
    snprintf(out, PATH_MAX, "%s%s", path, suffix);
    return out;
}

/* Create a file that is ours: what another has put there in its place is removed. */
static FILE *pidfile_create(const char *name)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, fd = guarded_open(name, flags, 0644);

    if (fd < 0 && errno == EEXIST && unlink(name) == 0)
        fd = guarded_open(name, flags, 0644);
    return fd < 0 ? NULL : fdopen(fd, "w");
}

int pidfile_write(const char *path)
{
    char name[PATH_MAX];
    FILE *file = pidfile_create(pidfile_name(name, path, ".new"));
    int err = 0;

    if (!file)
        return -errno;
    if (fprintf(file, "%d\n", (int)getpid()) < 0)
        err = -errno;
    if (fclose(file) && !err)
        err = -errno;
    if (!err && rename(name, path) < 0)
        err = -errno;
    if (err)
        unlink(name);
    return err;
}

pid_t pidfile_read(const char *path)
{
    int fd = guarded_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0); /* it may be a FIFO in the meantime */
    char text[16] = "";
    ssize_t size;

    if (fd < 0)
        return -errno;
    size = read(fd, text, sizeof(text) - 1);
    close(fd);
    return size > 0 && atoi(text) > 0 ? atoi(text) : -EINVAL;
}

void pidfile_remove(const char *path)
{
    if (pidfile_read(path) == getpid())
        unlink(path);
}

int pidfile_set_aside(const char *path)
{
    char name[PATH_MAX];

    return rename(path, pidfile_name(name, path, ".oldbin")) < 0 ? -errno : 0;
}

int pidfile_restore(const char *path)
{
    char name[PATH_MAX];

    return rename(pidfile_name(name, path, ".oldbin"), path) < 0 ? -errno : 0;
}

pid_t pidfile_read_aside(const char *path)
{
    char name[PATH_MAX];

    return pidfile_read(pidfile_name(name, path, ".oldbin"));
}

void pidfile_remove_aside(const char *path)
{
    char name[PATH_MAX];

    pidfile_remove(pidfile_name(name, path, ".oldbin"));
}
