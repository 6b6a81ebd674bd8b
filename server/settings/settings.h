/* settings.h: the server's own settings: [server], [log] and [limits], checked and typed. */
#ifndef SETTINGS_SETTINGS_H
#define SETTINGS_SETTINGS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "libc/names/resolver.h"
#include "settings/bind.h"
#include "settings/http.h"
#include "settings/limits.h"
#include "settings/logging.h"
#include "settings/outbound_settings.h"
#include "settings/process.h"
#include "settings/tracing_settings.h"

struct conf;

enum python_threads { PYTHON_THREADS_REAL, PYTHON_THREADS_COROUTINES };

struct settings {
    const struct bind_address *binds;
    size_t bind_count; /* at least 1 */
    int64_t workers;   /* processes; auto is already counted */
    int64_t backlog;
    int64_t stack_size;             /* bytes of a coroutine's stack */
    int64_t threads;                /* OS threads of each worker, for calls that cannot park */
    int resolver;                   /* enum resolver */
    int python_threads;             /* enum python_threads */
    const char *const *module_path; /* directories, searched in order */
    const char *python;             /* the interpreter, a path or a name to search for; NULL: not given */
    int64_t shutdown_timeout;       /* milliseconds */
    struct log_settings log;
    struct http_settings http;
    struct process_settings process;
    struct outbound_limits outbound;
    struct tracing tracing;
    struct mount_limits limits; /* from [limits] alone; settings_fill_mount makes those of a mount */
};

/* The keys of [server] that are in no other table. */
extern const struct sl_option server_options[];

/* The names of the sections that are not modules, for conf_new. */
extern const char *const settings_sections[];

/* Fill in s. Mistakes are recorded in c, which owns what s points at. If there are any, only module_path may be used,
 * to find those in the sections of modules too. */
void settings_fill(struct settings *s, struct conf *c);

/* Write these sections with every key. */
void settings_dump(struct conf *c, FILE *out);

#endif
