/*
 * watch.c: files and directories whose changes are told, by inotify.
 *
 * A directory is watched with those below it; what Python and editors leave there as they work is no change. Editors
 * write a file beside and rename it, so a single file is watched through its directory too, of which only events with
 * its name count. For development: a directory made later is seen after the next reload.
 */
#include "process/watch.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "log/log.h"

#define EVENTS   (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)
#define OPEN_FDS 16

/* A directory that is watched. One may stand here several times: as itself, and for files in it. */
struct watched {
    int wd;
    char *name; /* owned; of the one file that counts; NULL: all do */
};

static struct {
    int fd; /* what nftw's callback adds to */
    struct watched *list;
    size_t count, room;
} watch;

static void add(const char *path, const char *name)
{
    int wd = inotify_add_watch(watch.fd, path, EVENTS | IN_MASK_ADD);

    if (wd < 0) {
        log_warn("reload-on-change: cannot watch %s: %m", path);
        return;
    }
    if (watch.count == watch.room) {
        watch.room = 2 * watch.room + 8;
        watch.list = xrealloc(watch.list, watch.room * sizeof(*watch.list));
    }
    watch.list[watch.count++] = (struct watched){wd, name ? xstrdup(name) : NULL};
}

static void forget(void)
{
    while (watch.count > 0)
        free(watch.list[--watch.count].name);
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
    add(path, NULL);
    return FTW_CONTINUE;
}

static void add_file(const char *path)
{
    char *copy = xstrdup(path), *slash = strrchr(copy, '/');

    slash[slash == copy] = '\0';
    add(copy, strrchr(path, '/') + 1);
    free(copy);
}

int watch_open(const char *const *paths)
{
    struct stat st;

    forget();
    if (!paths)
        return -1;
    watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch.fd < 0) {
        log_warn("reload-on-change: cannot watch anything: %m");
        return -1;
    }
    for (; *paths; paths++)
        if (stat(*paths, &st) == 0 && S_ISDIR(st.st_mode))
            nftw(*paths, visit, OPEN_FDS, FTW_ACTIONRETVAL | FTW_PHYS);
        else
            add_file(*paths);
    return watch.fd;
}

static bool is_left_behind(const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || is_hidden(name) || name[size - 1] == '~')
        return true;
    return size >= 4 && (!strcmp(name + size - 4, ".pyc") || !strcmp(name + size - 4, ".log"));
}

static bool matters(const struct inotify_event *event)
{
    const char *name = event->len ? event->name : "";

    if (event->mask & IN_Q_OVERFLOW)
        return true; /* whatever it was */
    if (event->mask & IN_CREATE && !(event->mask & IN_ISDIR))
        return false; /* it is not written yet */
    for (size_t i = 0; i < watch.count; i++) {
        const struct watched *w = &watch.list[i];

        if (w->wd == event->wd && (w->name ? !strcmp(w->name, name) : !is_left_behind(name)))
            return true;
    }
    return false;
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
