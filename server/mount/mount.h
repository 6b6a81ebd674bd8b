/* mount.h: the modules that the configuration names, and their instances. */
#ifndef MOUNT_MOUNT_H
#define MOUNT_MOUNT_H

#include <string.h>
#include <strings.h>

#include "http/cancel.h"
#include "http/request/request.h"
#include "settings/limits.h"
#include "syncless.h"
#include "wait/wait.h"

struct conf;
struct conf_section;
struct settings;

/* One instance: a [name /prefix] section. If its module has a handle function it serves requests, if it has a filter
 * function it stands in front of those that do (filter.c); it may be both. */
struct mount {
    struct sl_module module;
    void *self;
    void (*ended)(void *self); /* sl_service.ended, for a mount made by sl_serve; NULL: none */
    const char *file;          /* the shared object of its module; NULL for a mount made by sl_serve */
    const char *title;         /* of its section, for messages */
    const char *host;          /* "" any */
    const char *prefix;        /* "" or "/shop" */
    size_t host_size, prefix_size;
    const char *script;      /* SCRIPT_NAME of the handler: the prefix, or another one */
    size_t skip;             /* bytes of the path that are not the handler's: the prefix, or a part of it */
    struct access_rule *log; /* of its requests; NULL: that of [log] */
    struct mount_limits limits;
    struct mount *areas; /* those below it, or for a host, that have other limits; copies of it, but for the prefix */
    bool is_filtered;    /* its requests pass the filters first; set by route.c, as are the next four */
    bool is_special;     /* it has a gate, or some mount has a high priority */
    struct gate *gate;   /* at most max-concurrency requests pass it at once; NULL: none */
    struct wait_timeouts deadlines; /* of its requests */
    struct request_limits handling; /* the limits of its requests while they are handled */
    struct mount *next;             /* in order of the file */
};

/* Whether requests to a host (a Host field, with or without a port) are for the mount. */
static inline bool mount_has_host(const struct mount *m, const char *field)
{
    size_t size = m->host_size;

    return size == 0 || (!strncasecmp(field, m->host, size) && (field[size] == '\0' || field[size] == ':'));
}

/* Whether a path is the mount's prefix or below it. */
static inline bool mount_has_path(const struct mount *m, const char *path)
{
    size_t size = m->prefix_size;

    if (size > 0 && (*path != '/' || path[1] != m->prefix[1])) /* most differ here, which saves the call */
        return false;
    return !strncmp(path, m->prefix, size) && (path[size] == '/' || path[size] == '\0');
}

/* A path as the client sees it: behind a proxy it may be below a path of that. */
static inline const char *mount_below_proxy(struct request *req, const char *path)
{
    return req->prefix ? arena_printf(&req->arena, "%s%s", req->prefix, path) : path;
}

/* Load the module of every section and make the instances. Mistakes are recorded in c, which owns the mounts; the
 * shared objects stay loaded. unhosted becomes the first section that needs a Python interpreter where this process is
 * none, or NULL; such sections are left out. */
struct mount *mounts_load(struct conf *c, const struct settings *settings, const struct conf_section **unhosted);

/* Log in which Python these instances run, if one of them does. */
void mounts_log_python(const struct mount *mounts);

/* Call preload of each instance that has it, until one fails. Returns 0, or the result of that one. */
int mounts_preload(struct mount *mounts);

/* Call start of each instance that has it, until one fails. Returns 0, or the result of that one. */
int mounts_start(struct mount *mounts);

/* Call stop of each instance that has it. */
void mounts_stop(struct mount *mounts);

/* Have fn told of the files that modules load, as sl_watch_files has it. */
void mount_set_watch(int (*fn)(const char *lines));

#endif
