/*
 * watch.c: watch files and directories for changes, by inotify. For development.
 *
 * A directory is watched with all directories below it; files that Python and editors create as they work do not count.
 * Editors write a new file and rename it, so a single file is watched through its directory, where only events with its
 * name count. A directory that is created later is watched from the next reload on.
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

/* A directory that is watched. It may be in the list several times: for itself, and for files in it. */
struct watched {
    int wd;     /* inotify's number of it */
    char *name; /* owned; of the one file that counts; NULL: all files do */
};

static struct {
    int fd;               /* the caller's; a variable because nftw's callback has no argument */
    struct watched *list; /* owned */
    size_t count, capacity;
} watch;

static void watch_directory(const char *path, const char *name)
{
    int wd = inotify_add_watch(watch.fd, path, EVENTS | IN_MASK_ADD);

    if (wd < 0) {
        log_warn("reload-on-change: cannot watch %s: %m", path);
        return;
    }
    if (watch.count == watch.capacity) {
        watch.capacity = 2 * watch.capacity + 8;
        watch.list = xrealloc(watch.list, watch.capacity * sizeof(*watch.list));
    }
    watch.list[watch.count++] = (struct watched){wd, name ? xstrdup(name) : NULL};
}

static void watch_clear(void)
{
    while (watch.count > 0)
        free(watch.list[--watch.count].name);
}

static bool is_hidden(const char *name)
{
    return *name == '.' || !strcmp(name, "__pycache__");
}

static int watch_visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
    if (type != FTW_D)
        return FTW_CONTINUE;
    if (at->level > 0 && is_hidden(path + at->base))
        return FTW_SKIP_SUBTREE;
    watch_directory(path, NULL);
    return FTW_CONTINUE;
}

static void watch_file(const char *path)
{
    char *copy = xstrdup(path), *slash = strrchr(copy, '/');

    slash[slash == copy] = '\0';
    watch_directory(copy, strrchr(path, '/') + 1);
    free(copy);
}

int watch_open(const char *const *paths)
{
    struct stat st;

    watch_clear();
    if (!paths)
        return -1;
    watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch.fd < 0) {
        log_warn("reload-on-change: cannot watch anything: %m");
        return -1;
    }
    for (; *paths; paths++) {
        if (stat(*paths, &st) < 0 || !S_ISDIR(st.st_mode))
            watch_file(*paths);
        else if (nftw(*paths, watch_visit, OPEN_FDS, FTW_ACTIONRETVAL | FTW_PHYS) < 0)
            log_warn("reload-on-change: cannot watch %s: %m", *paths);
    }
    return watch.fd;
}

/* A file that Python or an editor creates as it works. */
static bool is_by_product(const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || is_hidden(name) || name[size - 1] == '~')
        return true;
    return size >= 4 && (!strcmp(name + size - 4, ".pyc") || !strcmp(name + size - 4, ".log"));
}

static bool is_change(const struct inotify_event *event)
{
    const char *name = event->len ? event->name : "";

    if (event->mask & IN_Q_OVERFLOW)
        return true; /* events were lost */
    if (event->mask & IN_CREATE && !(event->mask & IN_ISDIR))
        return false; /* not written yet */
    for (size_t i = 0; i < watch.count; i++) {
        const struct watched *w = &watch.list[i];

        if (w->wd == event->wd && (w->name ? !strcmp(w->name, name) : !is_by_product(name)))
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

            changed |= is_change(event);
            at += sizeof(*event) + event->len;
        }
    return changed;
}
