/*
 * logging.c: the keys of [log], but for those of the access log, which mounts take too (access_rule.c).
 */
#include "settings/logging.h"

#include "conf/options.h"
#include "log/log.h"
#include "settings/access_rule.h"
#include "settings/log_target_value.h"

struct log_raw {
    struct log_settings s;
    const char *error_log;
};

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL}; /* enum log_level */

const struct sl_option log_options[] = {
    SL_OPTION("level", SL_CHOICE, struct log_raw, s.level, .default_value = "info", .choices = level_names,
              .help = "Least important lines to write: error, warn, info or debug."),
    SL_OPTION("error-log", SL_STRING, struct log_raw, error_log, .default_value = "stderr",
              .help = "Where these lines go: stderr, stdout, syslog, syslog:FACILITY, journal, a file, or |COMMAND."),
    {.name = NULL},
};

void log_settings_fill(struct log_settings *s, struct conf *c)
{
    struct conf_section *log = conf_section_find(c, "log");
    struct log_raw raw = {0};

    conf_fill_options(c, &log, 1, log_options, &raw);
    raw.s.error_log = parse_target(c, log, "error-log", raw.error_log, "stderr");
    raw.s.access = settings_access_rule(c);
    *s = raw.s;
}

void settings_log_messages(const struct conf *c)
{
    for (const struct conf_message *m = c->errors; m; m = m->next)
        log_error("%s", m->text);
    for (const struct conf_message *m = c->warnings; m; m = m->next)
        log_warn("%s", m->text);
}
