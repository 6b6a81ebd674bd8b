/*
 * guarded_open.c: open a file as root in a directory of somebody else.
 *
 * The master writes logs and a pidfile as root, and these are often in a directory of the user who runs the
 * application. Who can write to such a directory could put a symbolic link there in place of a file, or of a directory
 * on the way, and have root write to a file of his choice (CVE-2016-1247 of nginx). O_NOFOLLOW alone would also refuse
 * what administrators do: a log that is a link to another disk or to /dev/stdout, or /var/run. So the path is walked
 * name by name, and a link is followed if root has made it. Each name is looked up once, in a directory that is held
 * open, so nobody can exchange it after it was looked at. In /proc the kernel makes the links, which are no paths.
 */
#include "base/guarded_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/real.h"

#define MAX_LINKS 40 /* as the kernel has it */

struct walk {
    int dir; /* owned; where the rest of the path begins */
    char rest[PATH_MAX];
    int links; /* that were followed */
};

static void walk_enter(struct walk *w, int dir)
{
    real()->close(w->dir);
    w->dir = dir;
}

static int walk_open_root(void)
{
    return real()->open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Put what a link contains in front of the rest. Returns 0 or a negative errno. */
static int walk_follow(struct walk *w, int link)
{
    char text[PATH_MAX], rest[PATH_MAX];
    ssize_t size = real()->syscall(SYS_readlinkat, link, "", text, sizeof(text) - 1);
    struct stat st;

    if (size < 0 || fstat(link, &st) < 0)
        return -errno;
    if (st.st_uid != 0)
        return -ELOOP; /* as with O_NOFOLLOW */
    if (++w->links > MAX_LINKS)
        return -ELOOP;
    text[size] = '\0';
    if ((size_t)snprintf(rest, sizeof(rest), "%s%s%s", text, *w->rest ? "/" : "", w->rest) >= sizeof(rest))
        return -ENAMETOOLONG;
    strcpy(w->rest, rest);
    if (*text == '/')
        walk_enter(w, walk_open_root());
    return 0;
}

#define NAME_SIZE (NAME_MAX + 2) /* one byte more than a name may have, for which the kernel has an error */

/* Cut the next name off the rest. Returns whether it is the last one. */
static bool walk_next(struct walk *w, char name[NAME_SIZE])
{
    const char *at = w->rest + strspn(w->rest, "/");
    size_t size = strcspn(at, "/");

    snprintf(name, NAME_SIZE, "%.*s", (int)size, at);
    at += size;
    at += strspn(at, "/");
    memmove(w->rest, at, strlen(at) + 1);
    return !*w->rest;
}

static bool is_in_proc(int dir)
{
    struct statfs fs;

    return fstatfs(dir, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Go through one name that is not the last, or is a link. Returns 0 or a negative errno. */
static int walk_step(struct walk *w, const char *name)
{
    int next = real()->openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;
    struct stat st;

    if (next < 0)
        return -errno;
    if (fstat(next, &st) == 0 && !S_ISLNK(st.st_mode)) {
        walk_enter(w, next);
        return 0;
    }
    err = walk_follow(w, next);
    real()->close(next);
    return err;
}

/* Returns the descriptor, or a negative errno. */
static int walk_open(const struct walk *w, const char *name, int flags, mode_t mode)
{
    int fd = real()->openat(w->dir, name, flags, mode);

    return fd < 0 ? -errno : fd;
}

/* The same. */
static int walk_to_end(struct walk *w, int flags, mode_t mode)
{
    char name[NAME_SIZE];
    int fd, err = 0;

    while (!err) {
        if (w->dir < 0)
            return -errno;
        if (is_in_proc(w->dir))
            return walk_open(w, w->rest + strspn(w->rest, "/"), flags, mode);
        if (walk_next(w, name) && (fd = walk_open(w, name, flags | O_NOFOLLOW, mode)) != -ELOOP)
            return fd;
        err = walk_step(w, name);
    }
    return err;
}

int guarded_open(const char *path, int flags, mode_t mode)
{
    struct walk w = {.dir = -1};
    int fd;

    flags |= O_CLOEXEC;
    if (geteuid() != 0)
        return real()->open(path, flags, mode);
    if ((size_t)snprintf(w.rest, sizeof(w.rest), "%s", path) >= sizeof(w.rest)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    w.dir = *path == '/' ? walk_open_root() : real()->open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = walk_to_end(&w, flags, mode);
    real()->close(w.dir);
    if (fd >= 0)
        return fd;
    errno = -fd;
    return -1;
}
