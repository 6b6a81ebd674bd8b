/*
 * directory.c: opendir and readdir: by what the file system has cost lately.
 *
 * Most calls of readdir are answered from the buffer of the stream, so where the first is slow the next are not, and
 * the average falls before the next slow one.
 */
#include <dirent.h>
#include <fcntl.h>

#include "base/real.h"
#include "libc/disk/disk.h"

struct opening_dir {
    const char *path;
    DIR *dir;
};

static long opening_dir_run(void *arg)
{
    struct opening_dir *o = arg;

    o->dir = real()->opendir(o->path);
    return o->dir ? 0 : -1;
}

DIR *opendir(const char *path)
{
    struct opening_dir o = {path, NULL};

    disk_run_path(AT_FDCWD, path, opening_dir_run, &o);
    return o.dir;
}

struct reading_dir {
    DIR *dir;
    struct dirent *entry;
};

static long reading_dir_run(void *arg)
{
    struct reading_dir *r = arg;

    r->entry = real()->readdir(r->dir);
    return r->entry ? 0 : -1;
}

struct dirent *readdir(DIR *dir)
{
    struct reading_dir r = {dir, NULL};

    disk_run_fd(dirfd(dir), reading_dir_run, &r);
    return r.entry;
}

struct dirent64 *readdir64(DIR *dir) __attribute__((alias("readdir")));
