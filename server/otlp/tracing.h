/* tracing.h: requests belong to traces, and their spans go to a collector. */
#ifndef OTLP_TRACING_H
#define OTLP_TRACING_H

#include <stdbool.h>

#include "http/config.h"
#include "http/request/trace_context.h"
#include "otlp/collector.h"

struct tracing {
    bool on; /* requests belong to traces */
    struct trace_rules rules;
    const struct collector *collector; /* NULL: spans go nowhere */
    const char *resource;              /* JSON: what says whose spans these are */
};

/* In a worker: begin. Returns the hooks by which this knows of requests; it calls those that are given. tracing is
 * borrowed. */
struct http_hooks tracing_hooks(const struct tracing *tracing, struct http_hooks others);

#endif
