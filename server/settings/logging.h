/* logging.h: the settings of the logs, from [log]. */
#ifndef SETTINGS_LOGGING_H
#define SETTINGS_LOGGING_H

#include <stdbool.h>
#include <stdint.h>

#include "access/format.h"

struct access_rule;
struct conf;
struct sl_option;

struct log_settings {
    int level;                  /* enum log_level */
    const char *error_log;      /* as sink_open takes it */
    struct access_rule *access; /* of [log]; mounts may have their own */
    struct access_rule *slow;   /* the slow log; only its target counts */
    int64_t slow_time;          /* milliseconds */
    bool server_timing;         /* responses say where the time went */
};

/* The keys of [log] that are in no other table. */
extern const struct sl_option log_options[];

/* Fill in s from [log]. Mistakes are recorded in c, which owns what s points at. */
void log_settings_fill(struct log_settings *s, struct conf *c);

/* Write the errors and warnings of a configuration to the log. */
void settings_log_messages(const struct conf *c);

#endif
