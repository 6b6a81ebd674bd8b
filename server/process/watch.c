/*
 * watch.c: watch files and directories for changes, by inotify. For development.
 *
 * A directory is watched with all directories below it, also with those that appear later. In it only files count whose
 * names say that they are source, a template or configuration: a project has its database, uploads and logs there too,
 * and reloads would end the requests that write them. Directories for uploads, virtualenvs and hidden ones are left
 * out.
 *
 * Editors write a new file and rename it, so a single file is watched through its directory, where only events with its
 * name count. So are modules that the application has imported from elsewhere, which workers tell of.
 */
#include "process/watch.h"

#include <dirent.h>
#include <fnmatch.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "log/log.h"

#define EVENTS   (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)
#define OPEN_FDS 16

#define MAX_LOADED 8192 /* files that workers tell of */

/* A directory that is watched. It may be in the list several times: for itself, and for files in it. */
struct watched {
    int wd;     /* inotify's number of it */
    char *path; /* owned */
    char *name; /* owned; of the one file that counts; NULL: all do that fit the patterns */
};

static struct {
    int fd;               /* the caller's; a variable because nftw's callback has no argument */
    struct watched *list; /* owned */
    size_t count, capacity;
    const char *const *patterns;
    char **loaded; /* owned, and so are its elements: files that workers have told of */
    size_t loaded_count;
    char changed[PATH_MAX + NAME_MAX + 2];
} watch;

/* ---- what is watched ---- */

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
    watch.list[watch.count++] = (struct watched){wd, xstrdup(path), name ? xstrdup(name) : NULL};
}

static void watch_clear(void)
{
    while (watch.count > 0) {
        free(watch.list[--watch.count].path);
        free(watch.list[watch.count].name);
    }
}

/* Whether a directory holds nothing that is written by hand. */
static bool is_left_out(const char *path, const char *name)
{
    static const char *const names[] = {"__pycache__", "node_modules", "site-packages", "media", "upload", "uploads"};
    char config[PATH_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(name, names[i]))
            return true;
    snprintf(config, sizeof(config), "%s/pyvenv.cfg", path);
    return *name == '.' || access(config, F_OK) == 0;
}

static int watch_visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
    if (type != FTW_D)
        return FTW_CONTINUE;
    if (at->level > 0 && is_left_out(path, path + at->base))
        return FTW_SKIP_SUBTREE;
    watch_directory(path, NULL);
    return FTW_CONTINUE;
}

static void watch_tree(const char *path)
{
    if (nftw(path, watch_visit, OPEN_FDS, FTW_ACTIONRETVAL | FTW_PHYS) < 0)
        log_warn("reload-on-change: cannot watch %s: %m", path);
}

static void watch_file(const char *path)
{
    char *copy = xstrdup(path), *slash = strrchr(copy, '/');

    slash[slash == copy] = '\0';
    watch_directory(copy, strrchr(path, '/') + 1);
    free(copy);
}

/* ---- what workers have loaded ---- */

static bool is_loaded(const char *path)
{
    for (size_t i = 0; i < watch.loaded_count; i++)
        if (!strcmp(watch.loaded[i], path))
            return true;
    return false;
}

/* Whether the directory of the file is watched for all files that fit the patterns. */
static bool is_below_watched(const char *path)
{
    size_t size = (size_t)(strrchr(path, '/') - path);

    for (size_t i = 0; i < watch.count; i++)
        if (!watch.list[i].name && !strncmp(watch.list[i].path, path, size) && !watch.list[i].path[size])
            return true;
    return false;
}

static void watch_loaded_file(const char *path)
{
    if (!is_below_watched(path) && access(path, F_OK) == 0)
        watch_file(path);
}

void watch_add(const char *lines)
{
    while (*lines && watch.count > 0) {
        size_t size = strcspn(lines, "\n");
        char *path = xmalloc(size + 1);

        memcpy(path, lines, size);
        path[size] = '\0';
        lines += size + (lines[size] == '\n');
        if (*path != '/' || is_loaded(path) || watch.loaded_count == MAX_LOADED) {
            free(path);
            continue;
        }
        watch.loaded = xrealloc(watch.loaded, (watch.loaded_count + 1) * sizeof(*watch.loaded));
        watch.loaded[watch.loaded_count++] = path;
        watch_loaded_file(path);
    }
}

int watch_open(const struct watch_spec *spec)
{
    struct stat st;

    watch_clear();
    if (!spec->paths)
        return -1;
    watch.patterns = spec->patterns;
    watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch.fd < 0) {
        log_warn("reload-on-change: cannot watch anything: %m");
        return -1;
    }
    for (const char *const *path = spec->paths; *path; path++)
        if (stat(*path, &st) < 0 || !S_ISDIR(st.st_mode))
            watch_file(*path);
        else
            watch_tree(*path);
    for (const char *const *file = spec->files; file && *file; file++)
        watch_file(*file);
    for (size_t i = 0; i < watch.loaded_count; i++)
        watch_loaded_file(watch.loaded[i]);
    return watch.fd;
}

/* ---- events ---- */

static bool fits_patterns(const char *name)
{
    for (const char *const *pattern = watch.patterns; pattern && *pattern; pattern++)
        if (!fnmatch(*pattern, name, FNM_PERIOD))
            return true;
    return false;
}

/* Whether a file in the directory counts, whose path goes to watch.changed. */
static bool has_fitting_file(const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir))) {
        found = entry->d_type != DT_DIR && fits_patterns(entry->d_name);
        if (found)
            snprintf(watch.changed, sizeof(watch.changed), "%s/%s", directory, entry->d_name);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* A directory has appeared: watch it too. Files may be in it already, so it is a change if one of them counts. */
static bool watch_new_directory(const char *parent, const char *name)
{
    size_t before = watch.count;
    char path[PATH_MAX];
    bool changed = false;

    snprintf(path, sizeof(path), "%s/%s", parent, name);
    if (is_left_out(path, name))
        return false;
    watch_tree(path);
    for (size_t i = before; i < watch.count && !changed; i++)
        changed = has_fitting_file(watch.list[i].path);
    return changed;
}

static bool is_change_of(const struct watched *w, const struct inotify_event *event, const char *name)
{
    const char *parent = w->path; /* the list may move */

    if (event->mask & IN_ISDIR)
        return event->mask & (IN_CREATE | IN_MOVED_TO) && !w->name && watch_new_directory(parent, name);
    if (event->mask & IN_CREATE || !(w->name ? !strcmp(w->name, name) : fits_patterns(name))) /* created: not written */
        return false;
    snprintf(watch.changed, sizeof(watch.changed), "%s/%s", w->path, name);
    return true;
}

static bool is_change(const struct inotify_event *event)
{
    const char *name = event->len ? event->name : "";
    size_t count = watch.count; /* more are added meanwhile */

    if (event->mask & IN_Q_OVERFLOW) {
        snprintf(watch.changed, sizeof(watch.changed), "more than can be told");
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (watch.list[i].wd == event->wd && is_change_of(&watch.list[i], event, name))
            return true;
    return false;
}

const char *watch_read(int fd)
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
    return changed ? watch.changed : NULL;
}
