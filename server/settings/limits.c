/*
 * limits.c: the keys of [limits], which each mount may set anew.
 *
 * The table stands by itself because two others take it in: [limits] itself, and beside its own keys every section of a
 * module (conf_fill). A limit that makes sense for the whole server only belongs to settings.c.
 */
#include "settings/limits.h"

static const char *const disconnects[] = {"ignore", "cancel", NULL};

const struct sl_option limits_options[] = {
    {.name = "request-timeout",
     .kind = SL_DURATION,
     .offset = offsetof(struct limits, request_timeout),
     .default_value = "0",
     .help =
         "Time a handler has for a request; then what it waits for is ended, and the answer is 504. 0 is no limit."},
    {.name = "on-disconnect",
     .kind = SL_CHOICE,
     .offset = offsetof(struct limits, on_disconnect),
     .default_value = "ignore",
     .help = "What to do with a request whose client has left: go on, or end what its handler waits for.",
     .choices = disconnects},
    {.name = "max-body-size",
     .kind = SL_SIZE,
     .offset = offsetof(struct limits, max_body_size),
     .default_value = "1m",
     .help = "Largest request body; a larger one is answered with 413. 0 is no limit."},
    {.name = NULL},
};
