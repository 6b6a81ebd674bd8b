/* http.h: limits and timeouts of HTTP that apply before it is known which mount a request is for, and trusted proxies.
 */
#ifndef SETTINGS_HTTP_H
#define SETTINGS_HTTP_H

#include <stdint.h>

#include "http/proxy/forwarded.h"
#include "syncless.h"

struct conf;

/* Timeouts are in milliseconds, 0: none; sizes are in bytes. */
struct http_settings {
    int64_t max_concurrency, max_connections; /* of each worker */
    int64_t queue_timeout;
    int64_t max_request_line, max_header_size, max_headers;
    int64_t header_timeout, keepalive_timeout, body_timeout, write_timeout;
    struct proxies proxies;
};

/* The keys that [limits] and [server] take, and those of [server] alone. */
extern const struct sl_option http_options[], proxies_options[];

/* Fill in s from [limits] and [server]. Mistakes are recorded in c, which owns what s points at. */
void http_settings_fill(struct http_settings *s, struct conf *c);

#endif
