/*
 * watch.c: files and directories whose changes are told, by inotify.
 *
 * A directory is watched with those below it. Editors write a file beside and rename it, so a single file is watched
 * through its directory too. What Python and editors leave behind as they work is no change. For development: a
 * directory made later is seen after the next reload.
 */
#include "process/watch.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "log.h"

#define EVENTS   (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)
#define OPEN_FDS 16

static int opening; /* the descriptor that nftw's callback adds to */

static void add(const char *path)
{
    if (inotify_add_watch(opening, path, EVENTS | IN_MASK_ADD) < 0)
        log_warn("reload-on-change: cannot watch %s: %m", path);
}

static bool is_hidden(const char *name)
{
    return *name == '.' || !strcmp(name, "__pycache__");
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
    if (type != FTW_D)
        return FTW_CONTINUE;
    if (at->level > 0 && is_hidden(path + at->base))
        return FTW_SKIP_SUBTREE;
    add(path);
    return FTW_CONTINUE;
}

static void add_directory_of(const char *path)
{
    char *copy = xstrdup(path), *slash = strrchr(copy, '/');

    slash[slash == copy] = '\0';
    add(copy);
    free(copy);
}

int watch_open(const char *const *paths)
{
    struct stat st;

    if (!paths)
        return -1;
    opening = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (opening < 0) {
        log_warn("reload-on-change: cannot watch anything: %m");
        return -1;
    }
    for (; *paths; paths++)
        if (stat(*paths, &st) == 0 && S_ISDIR(st.st_mode))
            nftw(*paths, visit, OPEN_FDS, FTW_ACTIONRETVAL | FTW_PHYS);
        else
            add_directory_of(*paths);
    return opening;
}

static bool matters(const struct inotify_event *event)
{
    size_t size = event->len ? strlen(event->name) : 0;

    if (size == 0 || is_hidden(event->name) || event->name[size - 1] == '~')
        return false;
    if (event->mask & IN_CREATE && !(event->mask & IN_ISDIR))
        return false; /* it is not written yet */
    return size < 4 || (strcmp(event->name + size - 4, ".pyc") && strcmp(event->name + size - 4, ".log"));
}

bool watch_read(int fd)
{
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool changed = false;
    ssize_t n;

    while ((n = read(fd, buf, sizeof(buf))) > 0)
        for (char *at = buf; at < buf + n;) {
            const struct inotify_event *event = (const struct inotify_event *)at;

            changed |= matters(event);
            at += sizeof(*event) + event->len;
        }
    return changed;
}
