/* trace_context.h: the trace that a request belongs to, by W3C Trace Context (www.w3.org/TR/trace-context). */
#ifndef HTTP_TRACE_CONTEXT_H
#define HTTP_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

struct request;

/* Ids are lower-case hexadecimal digits. */
struct trace_context {
    char trace_id[33];
    char span_id[17];   /* of this request */
    char parent_id[17]; /* of who has sent it; "": nobody has said */
    unsigned flags;     /* TRACE_SAMPLED and TRACE_RANDOM */
    const char *state;  /* tracestate as it came; NULL: none */
};

#define TRACE_SAMPLED 1 /* the caller may have recorded it, and so do we */
#define TRACE_RANDOM  2 /* of level 2: the trace id is random */

struct trace_rules {
    bool believe;   /* what clients send; otherwise each request begins a trace */
    int64_t sample; /* of so many traces that begin here, one is sampled */
};

/* Find the trace that the request belongs to, or begin one, as req->trace; and have its fields say so to handlers:
 * traceparent names this request as the parent of what they call. */
void trace_context_begin(struct request *req, const struct trace_rules *rules);

#endif
