/* logging.h: the settings of the logs, from [log]. */
#ifndef CONF_LOGGING_H
#define CONF_LOGGING_H

#include "access/format.h"

struct conf;
struct sl_option;

struct log_settings {
    int level;                   /* enum log_level */
    const char *error_log;       /* as sink_open takes it */
    const char *access_log;      /* the same; NULL: there is none */
    const struct format *format; /* of the access log */
};

extern const struct sl_option logging_options[];

/* Fill s from [log]; mistakes are noted in c, with which ends what s points at. */
void logging_fill(struct log_settings *s, struct conf *c);

#endif
