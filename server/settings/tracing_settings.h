/* tracing_settings.h: the keys of [tracing]. */
#ifndef SETTINGS_TRACING_SETTINGS_H
#define SETTINGS_TRACING_SETTINGS_H

#include "otlp/tracing.h"
#include "syncless.h"

struct conf;

extern const struct sl_option tracing_options[];

/* Fill in from [tracing]. Mistakes are recorded in c, which owns what t points at. */
void tracing_settings_fill(struct tracing *t, struct conf *c);

#endif
