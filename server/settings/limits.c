/*
 * limits.c: the keys that every mount takes beside those of its module.
 *
 * They can be given in [limits] for all mounts, in [MODULE] for those of a module, in each mount, and in [limits
 * PREFIX] for a part of a mount or for several (area.c). Limits that apply before it is known which mount a request is
 * for are in http.c. One of them is max-concurrency of [limits], all requests of a worker; elsewhere it is a key of its
 * own.
 */
#include "settings/limits.h"

#include <string.h>

#include "conf/options.h"
#include "settings/access_rule.h"

static const char *const disconnect_names[] = {"ignore", "cancel", NULL};
static const char *const counts_names[] = {"response", "application", "all", NULL}; /* enum deadline_counts */
static const char *const priority_names[] = {"auto", "normal", "high", NULL};

const struct sl_option mount_limits_options[] = {
    SL_OPTION("request-timeout", SL_DURATION, struct mount_limits, request_timeout, .default_value = "60s",
              .help = "Time for a request; when it is over the handler is cancelled, and the answer is 504. 0: none."),
    SL_OPTION("request-timeout-counts", SL_CHOICE, struct mount_limits, timeout_counts, .default_value = "response",
              .choices = counts_names,
              .help = "What that time is: to the start of the response, or its end, or with waits for the client."),
    SL_OPTION("min-rate", SL_SIZE, struct mount_limits, min_rate, .default_value = "500", .min = 0, .max = 1 << 30,
              .help = "Bytes that a client must send for each second that is waited for it; then 408. 0: none."),
    SL_OPTION("min-rate-after", SL_DURATION, struct mount_limits, min_rate_after, .default_value = "10s",
              .help = "Time that a client may take besides, for a head or a body, before min-rate ends it."),
    SL_OPTION("on-disconnect", SL_CHOICE, struct mount_limits, on_disconnect, .default_value = "ignore",
              .choices = disconnect_names, .help = "When the client disconnects: go on, or cancel its request."),
    SL_OPTION("max-body-size", SL_SIZE, struct mount_limits, max_body_size, .default_value = "1g",
              .help = "Largest request body; a larger one is answered with 413. 0: any size."),
    {.name = NULL},
};

const struct sl_option mount_own_options[] = {
    SL_OPTION("max-concurrency", SL_INTEGER, struct mount_limits, max_concurrency, .default_value = "0", .min = 0,
              .max = 1000000, .help = "Requests below the prefix that a worker runs at once; more wait in a queue."),
    SL_OPTION("priority", SL_CHOICE, struct mount_limits, priority, .default_value = "auto", .choices = priority_names,
              .help = "high: its requests do not wait for others to end; auto: that is so for static files."),
    {.name = NULL},
};

struct script_raw {
    const char *name;
};

static const struct sl_option script_options[] = {
    SL_OPTION("script-name", SL_STRING, struct script_raw, name,
              .help = "SCRIPT_NAME of the application; by default the prefix of the section."),
    {.name = NULL},
};

/* ---- filling in ---- */

static void fill_limits(struct conf *c, struct conf_section *mount, const struct area *area,
                        struct mount_limits *limits)
{
    size_t count;
    struct conf_section **chain = area_chain(c, mount, area, &count), *giver;

    conf_fill_options(c, chain, count, mount_limits_options, limits);
    conf_fill_options(c, chain, count - 1, mount_own_options, limits); /* without [limits] */
    giver = conf_giver(chain, count - 1, "max-concurrency");
    if (giver && !giver->prefix) /* [MODULE] gives it to each mount */
        giver = mount;
    limits->max_owner = limits->max_concurrency ? giver : NULL;
    limits->max_title = limits->max_concurrency ? giver->title : NULL;
}

void settings_fill_area(struct conf *c, struct conf_section *mount, const struct area *area,
                        struct mount_limits *limits)
{
    fill_limits(c, mount, area, limits);
}

void settings_fill_mount(struct conf *c, struct conf_section *s, const struct sl_option *options, void *instance,
                         struct mount_limits *limits)
{
    static const struct sl_option none[] = {{.name = NULL}};
    struct conf_section *chain[] = {s, conf_section_find(c, s->name)};
    const struct sl_option *tables[] = {options ? options : none, limits ? mount_limits_options : NULL,
                                        mount_own_options,        script_options,
                                        access_rule_options,      NULL};

    conf_check_section(c, s, tables);
    if (!s->prefix)
        return;
    conf_fill_options(c, chain, 2, options, instance);
    if (limits)
        fill_limits(c, s, &(struct area){s->host, s->prefix}, limits);
}

const char *settings_script_name(struct conf *c, struct conf_section *mount)
{
    struct conf_section *chain[] = {mount, conf_section_find(c, mount->name)};
    struct script_raw raw = {0};
    size_t size;

    conf_fill_options(c, chain, 2, script_options, &raw);
    if (!raw.name)
        return NULL;
    size = strlen(raw.name);
    if (size > 0 && *raw.name != '/')
        conf_value_error(c, conf_giver(chain, 2, "script-name"), "script-name", 0,
                         "expected a path such as /shop, or / for none");
    while (size > 0 && raw.name[size - 1] == '/')
        size--;
    return arena_strndup(&c->arena, raw.name, size);
}

/* ---- sections [limits PREFIX] ---- */

void settings_check_areas(struct conf *c)
{
    static const struct sl_option *const tables[] = {mount_limits_options, mount_own_options, NULL};

    for (struct conf_section *s = NULL; (s = conf_sections_named(c, "limits", s));)
        if (s->prefix)
            conf_check_section(c, s, tables);
}

static bool is_served(struct conf *c, const struct conf_section *limits)
{
    for (struct conf_section *s = NULL; (s = conf_modules(c, s));)
        if (s->prefix && area_concerns(limits, s))
            return true;
    return false;
}

void settings_check_areas_are_served(struct conf *c)
{
    for (struct conf_section *s = NULL; (s = conf_sections_named(c, "limits", s));)
        if (s->prefix && !is_served(c, s))
            conf_error(c, s->place, "[%s] limits nothing: no section serves these paths", s->title);
}

/* ---- showing them ---- */

void settings_dump_mount(struct conf *c, const char *title, const struct sl_option *options, bool has_limits, FILE *out)
{
    struct conf_section *s = conf_section_find(c, title), *own[] = {s, conf_section_find(c, s->name)}, **chain;
    size_t count;

    fprintf(out, "\n[%s]\n", title);
    conf_dump_options(c, own, 2, options, out);
    if (!has_limits)
        return;
    chain = area_chain(c, s, &(struct area){s->host, s->prefix}, &count);
    conf_dump_options(c, chain, count, mount_limits_options, out);
    conf_dump_options(c, chain, count - 1, mount_own_options, out);
    conf_dump_options(c, own, 2, script_options, out);
    settings_dump_access_rule(c, s, out);
}

/* Of these sections, only what they have: the rest is that of the mount. */
void settings_dump_areas(struct conf *c, FILE *out)
{
    for (struct conf_section *s = NULL; (s = conf_sections_named(c, "limits", s));) {
        if (!s->prefix)
            continue;
        fprintf(out, "\n[%s]\n", s->title);
        conf_dump_given(c, s, mount_limits_options, out);
        conf_dump_given(c, s, mount_own_options, out);
    }
}
