/* request_span.h: a request that is over as a span of OpenTelemetry, and its waits for others as its children. */
#ifndef OTLP_REQUEST_SPAN_H
#define OTLP_REQUEST_SPAN_H

#include "base/text.h"
#include "http/request/request.h"

/* Write the spans as JSON, with commas between them. On the request's coroutine; req->trace is set. */
void request_span_write(const struct request *req, struct text *out);

#endif
