/*
 * logging.c: the keys of [log].
 *
 * A target is a keyword (stderr, stdout, syslog, off) or a path. Paths are relative to the directory of the file that
 * has the line, as other paths are, but keywords are not, so these keys are strings that are read here.
 */
#include "settings/logging.h"

#include <string.h>

#include "conf/options.h"
#include "log/log.h"
#include "log/log_target.h"

struct log_raw {
    struct log_settings s;
    const char *error_log, *access_log, *format;
};

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL}; /* enum log_level */

const struct sl_option log_options[] = {
    SL_OPTION("level", SL_CHOICE, struct log_raw, s.level, .default_value = "info", .choices = level_names,
              .help = "Least important lines to write: error, warn, info or debug."),
    SL_OPTION("error-log", SL_STRING, struct log_raw, error_log, .default_value = "stderr",
              .help = "Where these lines go: stderr, stdout, syslog, syslog:FACILITY or a file."),
    SL_OPTION("access-log", SL_STRING, struct log_raw, access_log, .default_value = "off",
              .help = "Where a line for each request goes: off, stdout, stderr, syslog, syslog:FACILITY or a file."),
    SL_OPTION("log-format", SL_STRING, struct log_raw, format, .default_value = "combined",
              .help = "Format of the access log: common, combined, combined-time, json, or a text with %(variables)."),
    {.name = NULL},
};

/* Returns a keyword as it is, or the absolute path of a file. dash: what "-" is, as with gunicorn. */
static const char *parse_target(struct conf *c, const struct conf_section *log, const char *key, const char *text,
                                const char *dash)
{
    if (!strcmp(text, "-"))
        return dash;
    if (log_target_is_known(text))
        return text;
    if (!strncmp(text, "syslog:", 7))
        conf_value_error(c, log, key, 0, "expected syslog:daemon, syslog:user or syslog:local0 to local7");
    else if (!*text)
        conf_value_error(c, log, key, 0, "expected stderr, stdout, syslog or a file");
    return conf_value_path(c, log, key, text);
}

void log_settings_fill(struct log_settings *s, struct conf *c)
{
    struct conf_section *log = conf_section_find(c, "log");
    struct log_raw raw = {0};
    const char *why;

    conf_fill_options(c, &log, 1, log_options, &raw);
    raw.s.error_log = parse_target(c, log, "error-log", raw.error_log, "stderr");
    if (strcmp(raw.access_log, "off"))
        raw.s.access_log = parse_target(c, log, "access-log", raw.access_log, "stdout");
    raw.s.format = format_compile(&c->arena, raw.format, &why);
    if (!raw.s.format)
        conf_value_error(c, log, "log-format", 0, "%s", why);
    *s = raw.s;
}

void settings_log_messages(const struct conf *c)
{
    for (const struct conf_message *m = c->errors; m; m = m->next)
        log_error("%s", m->text);
    for (const struct conf_message *m = c->warnings; m; m = m->next)
        log_warn("%s", m->text);
}
