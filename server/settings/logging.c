/*
 * logging.c: the keys of [log], but for those of the access log, which mounts take too (access_rule.c).
 */
#include "settings/logging.h"

#include <string.h>

#include "access/access.h"
#include "conf/options.h"
#include "log/log.h"
#include "settings/access_rule.h"
#include "settings/log_target_value.h"

struct log_raw {
    struct log_settings s;
    const char *error_log, *slow_log;
};

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL}; /* enum log_level */

const struct sl_option log_options[] = {
    SL_OPTION("level", SL_CHOICE, struct log_raw, s.level, .default_value = "info", .choices = level_names,
              .help = "Least important lines to write: error, warn, info or debug."),
    SL_OPTION("error-log", SL_STRING, struct log_raw, error_log, .default_value = "stderr",
              .help = "Where these lines go: stderr, stdout, syslog, syslog:FACILITY, journal, a file, or |COMMAND."),
    SL_OPTION("slow-log", SL_STRING, struct log_raw, slow_log, .default_value = "off",
              .help = "Where requests are told that take longer than slow-time, and why; as access-log."),
    SL_OPTION("slow-time", SL_DURATION, struct log_raw, s.slow_time, .default_value = "1s", .min = 1, .max = 86400000,
              .help = "Time after which a request is slow."),
    SL_OPTION("server-timing", SL_BOOL, struct log_raw, s.server_timing, .default_value = "no",
              .help = "Tell each client by a Server-Timing field where the time of its request went."),
    {.name = NULL},
};

static struct access_rule *slow_rule(struct conf *c, struct conf_section *log, const char *target)
{
    struct access_rule *rule = arena_alloc(&c->arena, sizeof(*rule));

    *rule = (struct access_rule){.target = NULL};
    if (strcmp(target, "off"))
        rule->target = parse_target(c, log, "slow-log", target, "stderr");
    return rule;
}

void log_settings_fill(struct log_settings *s, struct conf *c)
{
    struct conf_section *log = conf_section_find(c, "log");
    struct log_raw raw = {0};

    conf_fill_options(c, &log, 1, log_options, &raw);
    raw.s.error_log = parse_target(c, log, "error-log", raw.error_log, "stderr");
    raw.s.access = settings_access_rule(c);
    raw.s.slow = slow_rule(c, log, raw.slow_log);
    *s = raw.s;
}

void settings_log_messages(const struct conf *c)
{
    for (const struct conf_message *m = c->errors; m; m = m->next)
        log_error("%s", m->text);
    for (const struct conf_message *m = c->warnings; m; m = m->next)
        log_warn("%s", m->text);
}
