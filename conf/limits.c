/*
 * limits.c: the keys of [limits], which each mount may set anew.
 *
 * The table stands by itself because two others take it in: [limits] itself, and beside its own keys every section of a
 * module (conf_fill). A limit that makes sense for the whole server only belongs to settings.c.
 */
#include "conf/limits.h"

const struct sl_option limits_options[] = {
    {.name = "request-timeout",
     .kind = SL_DURATION,
     .offset = offsetof(struct limits, request_timeout),
     .preset = "0",
     .help = "Time from the head of a request to the end of its response; not enforced yet."},
    {.name = "max-body-size",
     .kind = SL_SIZE,
     .offset = offsetof(struct limits, max_body_size),
     .preset = "1m",
     .help = "Largest request body; a larger one is answered with 413. 0 is no limit."},
    {.name = NULL},
};
