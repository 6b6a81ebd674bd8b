/* http.h: limits and time-outs of the server as a whole, before it is known which mount a request is for. */
#ifndef CONF_TRAFFIC_H
#define CONF_TRAFFIC_H

#include <stdint.h>

#include "http/proxy/forwarded.h"
#include "syncless.h"

struct conf;

/* Times are milliseconds, 0 is none; sizes are bytes. */
struct traffic_settings {
    int64_t max_concurrency, max_connections; /* in each worker */
    int64_t queue_timeout;
    int64_t max_request_line, max_header_size, max_headers;
    int64_t header_timeout, keepalive_timeout, body_timeout, write_timeout;
    struct proxies proxies;
};

/* The keys that [limits] and [server] take, and those of [server] alone. */
extern const struct sl_option traffic_options[], proxies_options[];

/* Fill t; mistakes are noted in c. */
void traffic_fill(struct traffic_settings *t, struct conf *c);

#endif
