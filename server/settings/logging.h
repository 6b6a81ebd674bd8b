/* logging.h: the settings of the logs, from [log]. */
#ifndef SETTINGS_LOGGING_H
#define SETTINGS_LOGGING_H

#include "access/format.h"

struct conf;
struct sl_option;

struct log_settings {
    int level;                   /* enum log_level */
    const char *error_log;       /* as sink_open takes it */
    const char *access_log;      /* the same; NULL: none */
    const struct format *format; /* of the access log */
};

/* The keys of [log]. */
extern const struct sl_option log_options[];

/* Fill in s from [log]. Mistakes are recorded in c, which owns what s points at. */
void log_settings_fill(struct log_settings *s, struct conf *c);

/* Write the errors and warnings of a configuration to the log. */
void settings_log_messages(const struct conf *c);

#endif
