/*
 * sandbox.c: what a worker may do at most, whoever has taken it over (key `sandbox`).
 *
 * The configuration says what an application needs: the folders that it names may be read, and those of the system and
 * of the interpreter; written only what sandbox-write lists. Programs may be started if a section is for programs, or
 * sandbox-exec says so. Landlock holds that for files, a filter of system calls for the rest. Both are entered last,
 * by a process with one thread, and hold for its threads and children.
 *
 * A kernel that lacks one of them is no reason not to start: the log says what is missing.
 */
#include "process/sandbox/sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/self.h"
#include "conf/conf.h"
#include "log/log.h"
#include "process/sandbox/landlock.h"
#include "process/sandbox/syscall_filter.h"

/* What programs, libraries and the resolver read; resolv.conf is a link to one of those in /run. */
static const char *const system_paths[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/bin",
    "/sbin",
    "/etc",
    "/opt",
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/nscd",
    "/var/lib/ca-certificates",
    NULL,
};

static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};

/* ---- the paths of the configuration ---- */

struct path_list {
    struct arena *arena;
    const char **paths; /* owned until it is copied to the arena */
    size_t count, capacity;
};

static void path_list_add(struct path_list *list, const char *path, size_t size)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 16;
        list->paths = xrealloc(list->paths, list->capacity * sizeof(*list->paths));
    }
    list->paths[list->count++] = arena_strndup(list->arena, path, size);
}

/* A path may be the beginning of a longer value, as in `app = /srv/shop/wsgi.py:application`: then its folder is
 * meant. */
static void path_list_add_value(struct path_list *list, const char *value)
{
    const char *end = value + strcspn(value, ":"), *slash = memrchr(value, '/', (size_t)(end - value));

    if (*value == '/' && slash > value)
        path_list_add(list, value, (size_t)(slash - value));
}

static void path_list_add_option(struct path_list *list, const struct sl_option *o, const void *field)
{
    const char *const *values;

    if (o->kind == SL_PATH && *(const char *const *)field)
        path_list_add(list, *(const char *const *)field, strlen(*(const char *const *)field));
    else if (o->kind == SL_STRING && *(const char *const *)field)
        path_list_add_value(list, *(const char *const *)field);
    else if (o->kind == SL_PATHS)
        for (values = *(const char *const *const *)field; values && *values; values++)
            path_list_add(list, *values, strlen(*values));
}

/* The folder two levels above a file: PREFIX of PREFIX/bin/python3 and PREFIX/lib/libsyncless.so. */
static void path_list_add_prefix(struct path_list *list, const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *above = slash && slash > file ? memrchr(file, '/', (size_t)(slash - file)) : NULL;

    if (above && above > file)
        path_list_add(list, file, (size_t)(above - file));
}

/* ---- in the master ---- */

/* Modules that exist to start programs. */
static bool starts_programs(const struct mount *m)
{
    return !strncmp(m->title, "cgi", 3) && (m->title[3] == ' ' || !m->title[3]);
}

void sandbox_prepare(struct process_settings *s, struct conf *c, const struct mount *mounts)
{
    struct path_list list = {.arena = &c->arena};
    char executable[PATH_MAX];
    const char **kept;

    if (!s->sandbox)
        return;
    path_list_add_prefix(&list, self_path());
    if (self_executable(executable))
        path_list_add_prefix(&list, executable);
    for (const struct mount *m = mounts; m; m = m->next) {
        s->sandbox_exec |= starts_programs(m);
        for (const struct sl_option *o = m->module.options; o && o->name; o++)
            path_list_add_option(&list, o, (const char *)m->self + o->offset);
    }
    kept = arena_alloc(&c->arena, (list.count + 1) * sizeof(*kept));
    memcpy(kept, list.paths, list.count * sizeof(*kept));
    kept[list.count] = NULL;
    s->sandbox_folders = kept;
    free(list.paths);
}

void sandbox_check(const struct process_settings *s)
{
    if (s->sandbox && !landlock_is_there())
        log_warn("sandbox = yes: this kernel has no Landlock (Linux 5.13, with \"landlock\" in the list lsm=), so "
                 "workers may use all files that their user may");
    if (s->sandbox && !syscall_filter_is_there())
        log_warn("sandbox = yes: this kernel has no seccomp filters for this machine, so workers may make all system "
                 "calls that their user may");
}

/* ---- in a worker ---- */

static int allow_all(int rules, const char *const *paths, unsigned uses)
{
    int err = 0;

    for (; paths && *paths && !err; paths++) {
        err = landlock_allow(rules, *paths, uses);
        if (err)
            log_error("cannot allow %s in the sandbox: %s", *paths, strerror(-err));
    }
    return err;
}

static int enter_landlock(const struct process_settings *s)
{
    unsigned reads = LANDLOCK_READ | (s->sandbox_exec ? LANDLOCK_EXECUTE : 0);
    const char *const flight_dir[] = {s->flight_dir, NULL};
    int rules = landlock_begin(), err = rules < 0 ? rules : 0;

    if (!err)
        err = allow_all(rules, system_paths, reads);
    if (!err)
        err = allow_all(rules, s->sandbox_folders, reads);
    if (!err)
        err = allow_all(rules, s->sandbox_read, reads);
    if (!err)
        err = allow_all(rules, s->sandbox_write, LANDLOCK_READ | LANDLOCK_WRITE);
    if (!err)
        err = allow_all(rules, flight_dir, LANDLOCK_READ | LANDLOCK_WRITE);
    if (!err && s->prometheus_dir)
        err = landlock_allow(rules, s->prometheus_dir, LANDLOCK_READ | LANDLOCK_WRITE);
    for (size_t i = 0; i < ARRAY_SIZE(devices) && !err; i++)
        err = landlock_allow(rules, devices[i], LANDLOCK_READ | LANDLOCK_WRITE);
    return err ? err : landlock_enforce(rules);
}

int sandbox_enter(const struct process_settings *s)
{
    int err = 0;

    if (!s->sandbox)
        return 0;
    if (landlock_is_there())
        err = enter_landlock(s);
    if (!err && syscall_filter_is_there())
        err = syscall_filter_enforce(s->sandbox_exec);
    if (err)
        log_error("the worker cannot enter the sandbox (sandbox = yes): %s", strerror(-err));
    return err;
}
