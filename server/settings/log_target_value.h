/* log_target_value.h: where a log goes, as a value of the configuration. */
#ifndef SETTINGS_LOG_TARGET_VALUE_H
#define SETTINGS_LOG_TARGET_VALUE_H

struct conf;
struct conf_section;

/* Returns a keyword or |COMMAND as it is, or the absolute path of a file. dash: what "-" is, as with gunicorn. Mistakes
 * are recorded in c. */
const char *parse_target(struct conf *c, const struct conf_section *s, const char *key, const char *text,
                         const char *dash);

#endif
