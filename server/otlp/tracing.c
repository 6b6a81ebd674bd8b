/*
 * tracing.c: requests belong to traces, and their spans go to a collector.
 *
 * Without tracing nothing here is called. With it, each request finds its trace before it is handled; the cost of a
 * span is that of writing it down at the end of a request that is sampled.
 */
#include "otlp/tracing.h"

#include "base/text.h"
#include "http/request/request.h"
#include "otlp/export.h"
#include "otlp/request_span.h"

static const struct tracing *tracing;
static struct http_hooks hooked; /* what others want to be called */

static void trace_begun(struct request *req)
{
    trace_context_begin(req, &tracing->rules);
    if (hooked.begun)
        hooked.begun(req);
}

static void trace_ended(const struct request *req)
{
    static struct text spans; /* reused */

    if (req->trace && req->trace->flags & TRACE_SAMPLED) { /* one that was refused early has no trace */
        spans.size = 0;
        request_span_write(req, &spans);
        export_span(spans.buf, spans.size);
    }
    if (hooked.ended)
        hooked.ended(req);
}

struct http_hooks tracing_hooks(const struct tracing *t, struct http_hooks others)
{
    if (!t->on)
        return others;
    tracing = t;
    hooked = others;
    others.begun = trace_begun;
    if (t->collector) {
        export_start(t->collector, t->resource);
        others.ended = trace_ended;
    }
    return others;
}
