/*
 * pidfile.c: the file with the pid of the master.
 *
 * It is written under another name and renamed, so that nobody ever reads half a number. As in nginx it is called
 * PATH.oldbin during an upgrade.
 */
#include "process/pidfile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Write path and suffix into out, which has PATH_MAX bytes. Returns out. */
static const char *pidfile_name(char *out, const char *path, const char *suffix)
{
    snprintf(out, PATH_MAX, "%s%s", path, suffix);
    return out;
}

int pidfile_write(const char *path)
{
    char name[PATH_MAX];
    FILE *file = fopen(pidfile_name(name, path, ".new"), "we");
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
    FILE *file = fopen(path, "re");
    int pid;

    if (!file)
        return -errno;
    if (fscanf(file, "%d", &pid) != 1 || pid <= 0)
        pid = -EINVAL;
    fclose(file);
    return pid;
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
