/*
 * settings.c: the keys of [server], and what a table cannot say of them.
 *
 * A struct sl_option knows kinds and defaults. Addresses, `workers = auto`, ranges, and the default module-path, which
 * depends on where the executable lies, are seen to here; what of that is only a text on its way stays in struct raw.
 *
 * backlog is 2048 as in gunicorn, not 511 (nginx) or 100 (uWSGI): one worker takes in every connection of a burst, and
 * a full queue shows as a one-second stall in the client (SYN retry), not as an error. The kernel caps it at somaxconn,
 * 4096 since Linux 5.4.
 */
#include "settings/settings.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/dump.h"
#include "conf/internal.h"

#ifndef MODULE_DIR /* where make install puts the modules */
#define MODULE_DIR "/usr/local/lib/syncless"
#endif

struct raw {
    struct settings s;
    const char *const *binds;
    const char *workers;
};

static const char *const resolvers[] = {"c-ares", "system", NULL};

static const struct sl_option server_options[] = {
    {.name = "bind",
     .kind = SL_STRINGS,
     .offset = offsetof(struct raw, binds),
     .default_value = "127.0.0.1:8080",
     .help = "Address to listen on: HOST:PORT, :PORT, [IPv6]:PORT or unix:/path, and perhaps proxy-protocol behind it; "
             "repeat for more."},
    {.name = "workers",
     .kind = SL_STRING,
     .offset = offsetof(struct raw, workers),
     .default_value = "1",
     .help = "Worker processes; auto is one for each CPU this process may run on."},
    {.name = "backlog",
     .kind = SL_INTEGER,
     .offset = offsetof(struct raw, s.backlog),
     .default_value = "2048",
     .help = "Connections the kernel keeps waiting to be accepted."},
    {.name = "stack-size",
     .kind = SL_SIZE,
     .offset = offsetof(struct raw, s.stack_size),
     .default_value = "4m",
     .help = "Address space for the stack of a coroutine; memory is taken only where it is touched."},
    {.name = "threads",
     .kind = SL_INTEGER,
     .offset = offsetof(struct raw, s.threads),
     .default_value = "4",
     .help = "Real threads of a worker, for calls that cannot park."},
    {.name = "resolver",
     .kind = SL_CHOICE,
     .offset = offsetof(struct raw, s.resolver),
     .default_value = "c-ares",
     .help = "Who answers getaddrinfo: c-ares, or the C library on a real thread (system).",
     .choices = resolvers},
    {.name = "module-path",
     .kind = SL_PATHS,
     .offset = offsetof(struct raw, s.module_path),
     .help = "Directories of modules, searched in order."},
    {.name = "shutdown-timeout",
     .kind = SL_DURATION,
     .offset = offsetof(struct raw, s.shutdown_timeout),
     .default_value = "30s",
     .help = "Time that running requests have to end when the server stops."},
    {.name = NULL},
};

static const struct range {
    const char *key;
    size_t offset;
    int64_t low, high;
} ranges[] = {
    {"workers", offsetof(struct settings, workers), 1, 1024},
    {"backlog", offsetof(struct settings, backlog), 1, 65535},
    {"stack-size", offsetof(struct settings, stack_size), 64 << 10, 1 << 30},
    {"threads", offsetof(struct settings, threads), 1, 1024},
};

/* CPUs that this process may run on, which containers and taskset make fewer than the machine has. */
static int64_t available_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    return sysconf(_SC_NPROCESSORS_ONLN); /* the set holds 1024 CPUs, this machine has more */
}

static void parse_workers(struct conf *c, const struct conf_section *server, const char *text, int64_t *workers)
{
    if (strcmp(text, "auto") == 0)
        *workers = available_cpus();
    else if (conf_value_integer(text, workers))
        conf_value_error(c, server, "workers", 0, "\"workers = %s\": expected a whole number or auto", text);
}

static bool same_address(const struct bind_address *a, const struct bind_address *b)
{
    bool any_port = a->sa.any.sa_family != AF_UNIX && a->sa.in.sin_port == 0;

    return a->size == b->size && memcmp(&a->sa, &b->sa, a->size) == 0 && !any_port;
}

/* The next word of a text; "" at its end. */
static const char *next_word(struct conf *c, const char **rest)
{
    const char *at = *rest + strspn(*rest, " \t");
    size_t size = strcspn(at, " \t");

    *rest = at + size;
    return arena_strndup(&c->arena, at, size);
}

static void parse_bind(struct conf *c, const struct conf_section *server, const char *text, struct bind_address *list,
                       size_t n)
{
    const char *rest = text;
    const char *word = next_word(c, &rest), *wrong = bind_address_parse(&list[n], word);

    while (!wrong && *(word = next_word(c, &rest)))
        wrong = bind_address_option(&list[n], word);
    if (wrong)
        conf_value_error(c, server, "bind", n, "\"bind = %s\": %s", text, wrong);
    for (size_t i = 0; i < n && !wrong; i++)
        if (same_address(&list[i], &list[n]))
            conf_value_error(c, server, "bind", n, "\"bind = %s\" is given twice", text);
}

static void parse_binds(struct conf *c, const struct conf_section *server, const char *const *texts, struct settings *s)
{
    struct bind_address *list;
    size_t count = 0;

    while (texts && texts[count])
        count++;
    if (count == 0)
        conf_value_error(c, server, "bind", 0, "\"bind\" is empty; expected an address such as 127.0.0.1:8080");
    list = arena_alloc(&c->arena, count * sizeof(*list));
    for (size_t i = 0; i < count; i++)
        parse_bind(c, server, texts[i], list, i);
    s->binds = list;
    s->bind_count = count;
}

static void check_ranges(struct conf *c, const struct conf_section *server, const struct settings *s)
{
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        const struct range *r = &ranges[i];
        int64_t value = *(const int64_t *)((const char *)s + r->offset);

        if (value < r->low || value > r->high)
            conf_value_error(c, server, r->key, 0, "\"%s = %lld\": expected %lld to %lld", r->key, (long long)value,
                             (long long)r->low, (long long)r->high);
    }
}

/* A build tree keeps its modules beside the executable; an installed server has them in MODULE_DIR. */
static const char *const *default_module_path(struct conf *c)
{
    const char **list = arena_alloc(&c->arena, 3 * sizeof(*list));
    char exe[4096];
    ssize_t size = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    int n = 0;

    if (size > 0) {
        exe[size] = '\0';
        list[n++] = conf_path_join(c, conf_path_here(c, exe), "modules");
    }
    list[n++] = MODULE_DIR;
    list[n] = NULL;
    return list;
}

void settings_fill(struct settings *s, struct conf *c)
{
    struct conf_section *server = conf_section_find(c, "server"), *limits = conf_section_find(c, "limits");
    struct process_raw process = {0};
    struct raw raw = {0};

    conf_check_section(
        c, server,
        (const struct sl_option *const[]){server_options, proxies_options, process_options, traffic_options, NULL});
    logging_fill(&raw.s.log, c);
    conf_check_section(c, limits, (const struct sl_option *const[]){limits_options, traffic_options, NULL});
    conf_fill_options(c, &server, 1, server_options, &raw);
    conf_fill_options(c, &server, 1, process_options, &process);
    process_fill(&process, c, server);
    raw.s.process = process.s;
    conf_fill_options(c, &limits, 1, limits_options, &raw.s.limits);
    traffic_fill(&raw.s.traffic, c);
    parse_workers(c, server, raw.workers, &raw.s.workers);
    parse_binds(c, server, raw.binds, &raw.s);
    check_ranges(c, server, &raw.s);
    if (!raw.s.module_path)
        raw.s.module_path = default_module_path(c);
    if (raw.s.process.daemonize && strcmp(raw.s.log.error_log, "stderr") == 0)
        conf_value_error(c, server, "daemonize", 0,
                         "\"daemonize\" needs \"error-log\" in [log], a file or syslog: nobody would see the log");
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
    struct conf_section *traffic[] = {conf_section_find(c, "limits"), conf_section_find(c, "server")};

    dump_section(c, "server", (const struct sl_option *const[]){server_options, proxies_options, process_options, NULL},
                 out);
    dump_section(c, "log", (const struct sl_option *const[]){logging_options, NULL}, out);
    dump_section(c, "limits", (const struct sl_option *const[]){limits_options, NULL}, out);
    conf_dump_options(c, traffic, 2, traffic_options, out);
}
