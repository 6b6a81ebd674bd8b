/*
 * pidfile.c: the file that holds the pid of the master.
 *
 * It is written beside and renamed, so that who reads it never finds half of a number. As in nginx it becomes
 * PATH.oldbin when a new binary takes over.
 */
#include "process/pidfile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *name(char *space, const char *path, const char *suffix)
{
    snprintf(space, PATH_MAX, "%s%s", path, suffix);
    return space;
}

int pidfile_write(const char *path)
{
    char space[PATH_MAX];
    FILE *file = fopen(name(space, path, ".new"), "we");
    int err = 0;

    if (!file)
        return -errno;
    if (fprintf(file, "%d\n", (int)getpid()) < 0)
        err = -errno;
    if (fclose(file) && !err)
        err = -errno;
    if (!err && rename(space, path) < 0)
        err = -errno;
    if (err)
        unlink(space);
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

void pidfile_set_aside(const char *path)
{
    char space[PATH_MAX];

    rename(path, name(space, path, ".oldbin"));
}

void pidfile_take_back(const char *path)
{
    char space[PATH_MAX];

    rename(name(space, path, ".oldbin"), path);
}

void pidfile_remove_aside(const char *path)
{
    char space[PATH_MAX];

    pidfile_remove(name(space, path, ".oldbin"));
}
