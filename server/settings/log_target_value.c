/*
 * log_target_value.c: where a log goes, as a value of the configuration.
 *
 * A target is a keyword (stderr, stdout, syslog, journal), a command, or a path. Paths are relative to the directory of
 * the file that has the line, as other paths are, but the others are not, so these keys are strings that are read here.
 */
#include "settings/log_target_value.h"

#include <string.h>

#include "conf/options.h"
#include "log/log_target.h"

const char *parse_target(struct conf *c, const struct conf_section *s, const char *key, const char *text,
                         const char *dash)
{
    if (!strcmp(text, "-"))
        return dash;
    if (log_target_is_known(text))
        return text;
    if (!strncmp(text, "syslog:", 7))
        conf_value_error(c, s, key, 0, "expected syslog:daemon, syslog:user or syslog:local0 to local7");
    else if (*text == '|')
        conf_value_error(c, s, key, 0, "expected a command after the |");
    else if (!*text)
        conf_value_error(c, s, key, 0, "expected stderr, stdout, syslog, journal, |COMMAND or a file");
    return conf_value_path(c, s, key, text);
}
