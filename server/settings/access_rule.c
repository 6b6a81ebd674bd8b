/*
 * access_rule.c: the keys of access logs, which [log], [MODULE] and each mount take.
 *
 * A mount has what its own section says, else [MODULE], else [log], key by key: one that has only another access-log
 * keeps the format of [log].
 */
#include "settings/access_rule.h"

#include <stdint.h>
#include <string.h>

#include "access/access.h"
#include "base/array.h"
#include "conf/options.h"
#include "settings/log_target_value.h"

struct access_raw {
    const char *target, *format;
    const char *const *exclude;
    int64_t sample;
};

const struct sl_option access_rule_options[] = {
    SL_OPTION("access-log", SL_STRING, struct access_raw, target, .default_value = "off",
              .help = "Where a line for each request goes: off, stdout, stderr, syslog, syslog:FACILITY, journal, a "
                      "file, or |COMMAND."),
    SL_OPTION("log-format", SL_STRING, struct access_raw, format, .default_value = "combined",
              .help = "Format of the access log: common, combined, combined-time, json, or a text with %(variables)."),
    SL_OPTION("access-log-exclude", SL_STRINGS, struct access_raw, exclude,
              .help = "Paths whose requests have no line, such as /healthz or /static/*; repeat for more."),
    SL_OPTION("access-log-sample", SL_INTEGER, struct access_raw, sample, .default_value = "1", .min = 1,
              .max = 1000000000, .help = "A line for one of so many requests, and for all with status 500 or more."),
    {.name = NULL},
};

/* Returns the first section of the chain that gives the key; the first of all if none does. */
static struct conf_section *giver_of(struct conf_section *const *chain, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (chain[i] && conf_gives(chain[i], key))
            return chain[i];
    return chain[0];
}

static struct access_rule *make_rule(struct conf *c, struct conf_section *const *chain, size_t count)
{
    struct access_rule *rule = arena_alloc(&c->arena, sizeof(*rule));
    struct access_raw raw = {0};
    const char *why;

    conf_fill_options(c, chain, count, access_rule_options, &raw);
    *rule = (struct access_rule){.exclude = raw.exclude, .sample = raw.sample};
    if (strcmp(raw.target, "off"))
        rule->target = parse_target(c, giver_of(chain, count, "access-log"), "access-log", raw.target, "stdout");
    rule->format = format_compile(&c->arena, raw.format, &why);
    if (!rule->format)
        conf_value_error(c, giver_of(chain, count, "log-format"), "log-format", 0, "%s", why);
    for (size_t i = 0; raw.exclude && raw.exclude[i]; i++)
        if (*raw.exclude[i] != '/' && *raw.exclude[i] != '*')
            conf_value_error(c, giver_of(chain, count, "access-log-exclude"), "access-log-exclude", i,
                             "expected a path that begins with /, such as /healthz or /static/*");
    return rule;
}

struct access_rule *settings_access_rule(struct conf *c)
{
    struct conf_section *log = conf_section_find(c, "log");

    return make_rule(c, &log, 1);
}

/* Whether the mount or its module has one of the keys. chain: the sections in which they are looked for. */
static bool has_rule(struct conf *c, struct conf_section *mount, struct conf_section *chain[3])
{
    chain[0] = mount;
    chain[1] = conf_section_find(c, mount->name);
    chain[2] = conf_section_find(c, "log");
    for (const struct sl_option *o = access_rule_options; o->name; o++)
        if (conf_gives(mount, o->name) || (chain[1] && conf_gives(chain[1], o->name)))
            return true;
    return false;
}

struct access_rule *settings_access_rule_of_mount(struct conf *c, struct conf_section *mount)
{
    struct conf_section *chain[3];

    return has_rule(c, mount, chain) ? make_rule(c, chain, ARRAY_SIZE(chain)) : NULL;
}

void settings_dump_access_rule(struct conf *c, struct conf_section *mount, FILE *out)
{
    struct conf_section *chain[3];

    if (has_rule(c, mount, chain))
        conf_dump_options(c, chain, ARRAY_SIZE(chain), access_rule_options, out);
}

const char *const *settings_add_target(struct arena *arena, const char *const *list, struct access_rule *rule)
{
    const char **longer;
    size_t count = 0;

    if (!rule || !rule->target)
        return list;
    for (; list[count]; count++)
        if (!strcmp(list[count], rule->target)) {
            rule->log = count;
            return list;
        }
    longer = arena_alloc(arena, (count + 2) * sizeof(*longer));
    memcpy(longer, list, count * sizeof(*longer));
    longer[count] = rule->target;
    longer[count + 1] = NULL;
    rule->log = count;
    return longer;
}
