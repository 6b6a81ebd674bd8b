/*
 * settings.c: the keys of [server], and what a table of options cannot express about them.
 *
 * A struct sl_option knows kinds, ranges and defaults. Listen addresses, `workers = auto` and the default module-path,
 * which depends on where the server is, are handled here; their texts are kept in struct server_raw until then.
 *
 * backlog is 2048 as in gunicorn, not 511 (nginx) or 100 (uWSGI): one worker accepts every connection of a burst, and
 * a full queue shows as a one-second stall in the client (SYN retry), not as an error. The kernel caps it at somaxconn,
 * 4096 since Linux 5.4.
 */
#include "settings/settings.h"

#include <string.h>

#include "base/array.h"
#include "conf/options.h"
#include "access/access.h"
#include "log/log_target.h"
#include "settings/access_rule.h"
#include "settings/cpus.h"
#include "settings/module_dirs.h"
#include "settings/names.h"

#define MAX_WORKERS 1024

const char *const settings_sections[] = {"server", "log", "limits", "limits /prefix", "outbound PEER", "tracing", NULL};

struct server_raw {
    struct settings s;
    const char *const *binds;
    const char *workers, *threads;
};

static const char *const resolver_names[] = {[RESOLVER_CARES] = "c-ares", [RESOLVER_SYSTEM] = "system", NULL};

static const char *const python_threads_names[] = {
    [PYTHON_THREADS_REAL] = "real", [PYTHON_THREADS_COROUTINES] = "coroutines", NULL};

const struct sl_option server_options[] = {
    SL_OPTION("bind", SL_STRINGS, struct server_raw, binds, .default_value = "127.0.0.1:8080",
              .help = "Address to listen on: HOST:PORT, :PORT, [IPv6]:PORT, unix:/path or unix:@name, optionally "
                      "followed by proxy-protocol; repeat for more."),
    SL_OPTION("workers", SL_STRING, struct server_raw, workers, .default_value = "1",
              .help = "Worker processes; auto: one for each CPU that this process may use."),
    SL_OPTION("backlog", SL_INTEGER, struct server_raw, s.backlog, .default_value = "2048", .min = 1, .max = 65535,
              .help = "Connections that the kernel queues until they are accepted."),
    SL_OPTION("stack-size", SL_SIZE, struct server_raw, s.stack_size, .default_value = "8m", .min = 64 << 10,
              .max = 1 << 30, .help = "Address space for the stack of a coroutine; only touched pages take memory."),
    SL_OPTION("threads", SL_STRING, struct server_raw, threads, .default_value = "auto",
              .help =
                  "OS threads of a worker, for disks, names and C code that computes without the GIL; auto: two for "
                  "each CPU that this process may use."),
    SL_OPTION("python-threads", SL_CHOICE, struct server_raw, s.python_threads, .default_value = "real",
              .choices = python_threads_names,
              .help = "What threads that Python code starts are: real, OS threads, or coroutines as requests are."),
    SL_OPTION("resolver", SL_CHOICE, struct server_raw, s.resolver, .default_value = "c-ares",
              .choices = resolver_names,
              .help = "How host names are looked up: c-ares, or system for the C library on an OS thread."),
    SL_OPTION("module-path", SL_PATHS, struct server_raw, s.module_path,
              .help = "Directories of modules, searched in order, and then that of the server."),
    SL_OPTION("python", SL_STRING, struct server_raw, s.python,
              .help = "Python interpreter to run in, a path or a name on PATH; by default that of the virtualenv."),
    SL_OPTION("shutdown-timeout", SL_DURATION, struct server_raw, s.shutdown_timeout, .default_value = "30s",
              .help = "Time that running requests have to end when the server stops."),
    {.name = NULL},
};

static const struct sl_option *const log_tables[] = {log_options, access_rule_options, NULL};

static void parse_workers(struct conf *c, const struct conf_section *server, const char *text, int64_t *workers)
{
    if (!strcmp(text, "auto"))
        *workers = min_int64(cpus_count(), MAX_WORKERS);
    else if (conf_value_integer(text, workers) || *workers < 1 || *workers > MAX_WORKERS)
        conf_value_error(c, server, "workers", 0, "expected 1 to %d, or auto", MAX_WORKERS);
}

static void parse_threads(struct conf *c, const struct conf_section *server, const char *text, int64_t *threads)
{
    if (!strcmp(text, "auto"))
        *threads = cpus_threads();
    else if (conf_value_integer(text, threads) || *threads < 1 || *threads > MAX_THREADS)
        conf_value_error(c, server, "threads", 0, "expected 1 to %d, or auto", MAX_THREADS);
}

static bool is_same_address(const struct bind_address *a, const struct bind_address *b)
{
    bool any_port = a->sa.any.sa_family != AF_UNIX && a->sa.in.sin_port == 0;

    return a->size == b->size && !memcmp(&a->sa, &b->sa, a->size) && !any_port;
}

/* Returns the next word of a text; "" at its end. */
static const char *next_bind_word(struct conf *c, const char **rest)
{
    const char *at = *rest + strspn(*rest, " \t");
    size_t size = strcspn(at, " \t");

    *rest = at + size;
    return arena_strndup(&c->arena, at, size);
}

/* Parse the n-th address of the list. */
static void parse_bind(struct conf *c, const struct conf_section *server, const char *text, struct bind_address *list,
                       size_t n)
{
    const char *rest = text;
    const char *word = next_bind_word(c, &rest), *why = bind_address_parse(&list[n], word);

    while (!why && *(word = next_bind_word(c, &rest)))
        why = bind_address_option(&list[n], word);
    for (size_t i = 0; i < n && !why; i++)
        if (is_same_address(&list[i], &list[n]))
            why = "this address is given twice";
    if (why)
        conf_value_error(c, server, "bind", n, "%s", why);
}

static void parse_binds(struct conf *c, const struct conf_section *server, const char *const *texts, struct settings *s)
{
    struct bind_address *list;
    size_t count = 0;

    while (texts && texts[count])
        count++;
    if (count == 0)
        conf_value_error(c, server, "bind", 0, "expected an address such as 127.0.0.1:8080");
    list = arena_alloc(&c->arena, count * sizeof(*list));
    for (size_t i = 0; i < count; i++)
        parse_bind(c, server, texts[i], list, i);
    s->binds = list;
    s->bind_count = count;
}

static void check_sections(struct conf *c)
{
    c->names = &settings_names;
    for (const struct conf_known *known = settings_names.known; known->title; known++)
        conf_check_section(c, conf_section_find(c, known->title), known->tables);
    settings_check_areas(c);
}

/* In the background there are no standard streams. */
static void check_daemonize(struct conf *c, const struct conf_section *server, const struct settings *s)
{
    const char *access = s->log.access->target;

    if (!s->process.daemonize)
        return;
    if (log_target_standard_fd(s->log.error_log) >= 0)
        conf_value_error(c, server, "daemonize", 0,
                         "set \"error-log\" in [log] to a file or syslog, or nobody would see the log");
    else if (access && !strcmp(access, "stdout"))
        conf_value_error(c, server, "daemonize", 0,
                         "set \"access-log\" in [log] to a file or syslog: standard output is that of the error log");
}

void settings_fill(struct settings *s, struct conf *c)
{
    struct conf_section *server = conf_section_find(c, "server"), *limits = conf_section_find(c, "limits");
    struct server_raw raw = {0};

    check_sections(c);
    conf_fill_options(c, &server, 1, server_options, &raw);
    conf_fill_options(c, &limits, 1, mount_limits_options, &raw.s.limits);
    log_settings_fill(&raw.s.log, c);
    http_settings_fill(&raw.s.http, c);
    process_settings_fill(&raw.s.process, c);
    outbound_settings_fill(&raw.s.outbound, c);
    tracing_settings_fill(&raw.s.tracing, c);
    parse_workers(c, server, raw.workers, &raw.s.workers);
    parse_threads(c, server, raw.threads, &raw.s.threads);
    parse_binds(c, server, raw.binds, &raw.s);
    raw.s.module_path = module_dirs_after(&c->arena, raw.s.module_path);
    if (raw.s.python && strchr(raw.s.python, '/'))
        raw.s.python = conf_value_path(c, server, "python", raw.s.python);
    check_daemonize(c, server, &raw.s);
    *s = raw.s;
}

static void dump_section(struct conf *c, const char *title, const struct sl_option *const *tables, FILE *out)
{
    struct conf_section *s = conf_section_find(c, title);

    fprintf(out, "\n[%s]\n", title);
    for (; *tables; tables++)
        conf_dump_options(c, &s, 1, *tables, out);
}

void settings_dump(struct conf *c, FILE *out)
{
    const struct sl_option *const server[] = {server_options, proxies_options, process_options, NULL};
    const struct sl_option *const limits[] = {mount_limits_options, NULL}, *const tracing[] = {tracing_options, NULL};
    struct conf_section *http[] = {conf_section_find(c, "limits"), conf_section_find(c, "server")};

    dump_section(c, "server", server, out);
    dump_section(c, "log", log_tables, out);
    dump_section(c, "limits", limits, out);
    conf_dump_options(c, http, ARRAY_SIZE(http), http_options, out);
    settings_dump_areas(c, out);
    outbound_settings_dump(c, out);
    dump_section(c, "tracing", tracing, out);
}
