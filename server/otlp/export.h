/* export.h: the spans that wait to be sent to the collector. */
#ifndef OTLP_EXPORT_H
#define OTLP_EXPORT_H

#include <stddef.h>

#include "otlp/collector.h"

/* In a worker: send spans there from now on. resource: the JSON of resource attributes, an array. Both borrowed. */
void export_start(const struct collector *collector, const char *resource);

/* Queue a span, JSON; never waits. If there is no room it is dropped, and counted. */
void export_span(const char *json, size_t size);

/* The worker stops: the exporter no longer runs on its own. Then, when all requests are over, send what is left, for
 * less than a second. */
void export_stop(void);
void export_finish(void);

#endif
