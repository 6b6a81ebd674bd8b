/*
 * logging.c: the keys of [log].
 *
 * A log goes to a word (stderr, syslog, off) or a file. A file is a path like others, seen from the directory of the
 * line that names it, which is why these keys are texts and are read here.
 */
#include "settings/logging.h"

#include <string.h>

#include "conf/internal.h"
#include "log/target.h"

struct raw {
    struct log_settings s;
    const char *error_log, *access_log, *format;
};

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

const struct sl_option logging_options[] = {
    {.name = "level",
     .kind = SL_CHOICE,
     .offset = offsetof(struct raw, s.level),
     .default_value = "info",
     .help = "Least important lines to write: error, warn, info or debug.",
     .choices = levels},
    {.name = "error-log",
     .kind = SL_STRING,
     .offset = offsetof(struct raw, error_log),
     .default_value = "stderr",
     .help = "Where these lines go: stderr, syslog, syslog:FACILITY or a file."},
    {.name = "access-log",
     .kind = SL_STRING,
     .offset = offsetof(struct raw, access_log),
     .default_value = "off",
     .help = "Where a line for each request goes: off, stderr, syslog, syslog:FACILITY or a file."},
    {.name = "log-format",
     .kind = SL_STRING,
     .offset = offsetof(struct raw, format),
     .default_value = "combined",
     .help = "Of the access log: common, combined, combined-time, json, or a text with %(variables)."},
    {.name = NULL},
};

/* A word as it is, or the absolute path of a file. */
static const char *target(struct conf *c, const struct conf_section *log, const char *key, const char *text)
{
    const struct conf_entry *e = conf_entry_first(log, key);

    if (strncmp(text, "syslog:", 7) == 0 && !log_target_is_known(text))
        conf_value_error(c, log, key, 0, "\"%s = %s\": expected syslog:daemon, syslog:user or syslog:local0 to local7",
                         key, text);
    else if (!*text)
        conf_value_error(c, log, key, 0, "\"%s\" is empty; expected stderr, syslog or a file", key);
    return log_target_is_known(text) ? text : conf_path_join(c, e ? e->here : c->cwd, text);
}

void logging_fill(struct log_settings *s, struct conf *c)
{
    struct conf_section *log = conf_section_find(c, "log");
    struct raw raw = {0};
    const char *why;

    conf_check_section(c, log, (const struct sl_option *const[]){logging_options, NULL});
    conf_fill_options(c, &log, 1, logging_options, &raw);
    raw.s.error_log = target(c, log, "error-log", raw.error_log);
    if (strcmp(raw.access_log, "off"))
        raw.s.access_log = target(c, log, "access-log", raw.access_log);
    raw.s.format = format_compile(&c->arena, raw.format, &why);
    if (!raw.s.format)
        conf_value_error(c, log, "log-format", 0, "\"log-format\": %s", why);
    *s = raw.s;
}
