/*
 * traffic.c: the keys of limits and time-outs that hold for the server as a whole.
 *
 * Their place is [limits], beside those of mounts; [server] takes them too, where some people look first. Defaults are
 * nginx's where it has one. max-connections is not: its 512 are for one of many workers that each serve few, and here
 * one worker serves thousands. Nor has nginx max-concurrency and queue-timeout, since it runs no applications.
 */
#include "conf/traffic.h"

#include "conf/internal.h"

#define FIELD(name) .offset = offsetof(struct traffic_settings, name)

const struct sl_option traffic_options[] = {
    {.name = "max-concurrency",
     .kind = SL_INTEGER,
     FIELD(max_concurrency),
     .preset = "10000",
     .help = "Requests that one worker runs at once; further ones wait."},
    {.name = "queue-timeout",
     .kind = SL_DURATION,
     FIELD(queue_timeout),
     .preset = "10s",
     .help = "How long one waits when max-concurrency run; then it is answered with 503 and Retry-After."},
    {.name = "max-connections",
     .kind = SL_INTEGER,
     FIELD(max_connections),
     .preset = "16384",
     .help = "Connections open at once in one worker; idle ones are closed to make room, further ones wait."},
    {.name = "max-request-line",
     .kind = SL_SIZE,
     FIELD(max_request_line),
     .preset = "8k",
     .help = "Longest request line; a longer one is answered with 414."},
    {.name = "max-header-size",
     .kind = SL_SIZE,
     FIELD(max_header_size),
     .preset = "32k",
     .help = "Largest head of a request, with its request line; a larger one is answered with 431."},
    {.name = "max-headers",
     .kind = SL_INTEGER,
     FIELD(max_headers),
     .preset = "1000",
     .help = "Most header fields of a request; more are answered with 431."},
    {.name = "header-timeout",
     .kind = SL_DURATION,
     FIELD(header_timeout),
     .preset = "60s",
     .help = "Time for a whole head to arrive; then 408, or just a close if nothing came."},
    {.name = "keepalive-timeout",
     .kind = SL_DURATION,
     FIELD(keepalive_timeout),
     .preset = "75s",
     .help = "How long a connection is kept open between two requests."},
    {.name = "body-timeout",
     .kind = SL_DURATION,
     FIELD(body_timeout),
     .preset = "60s",
     .help = "Longest wait for the next bytes of a request body; then 408."},
    {.name = "write-timeout",
     .kind = SL_DURATION,
     FIELD(write_timeout),
     .preset = "60s",
     .help = "Longest wait for a client to take bytes of the response; then the connection is closed."},
    {.name = NULL},
};

static const struct range {
    const char *key;
    size_t offset;
    int64_t low, high;
} ranges[] = {
    {"max-concurrency", offsetof(struct traffic_settings, max_concurrency), 1, 1000000},
    {"max-connections", offsetof(struct traffic_settings, max_connections), 1, 10000000},
    {"max-request-line", offsetof(struct traffic_settings, max_request_line), 64, 1 << 20},
    {"max-header-size", offsetof(struct traffic_settings, max_header_size), 256, 1 << 20},
    {"max-headers", offsetof(struct traffic_settings, max_headers), 1, 100000},
};

void traffic_fill(struct traffic_settings *t, struct conf *c)
{
    struct conf_section *chain[] = {conf_section_find(c, "limits"), conf_section_find(c, "server")};

    conf_fill_options(c, chain, 2, traffic_options, t);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        const struct range *r = &ranges[i];
        int64_t value = *(const int64_t *)((const char *)t + r->offset);

        if (value < r->low || value > r->high)
            conf_value_error(c, conf_entry_first(chain[0], r->key) ? chain[0] : chain[1], r->key, 0,
                             "\"%s = %lld\": expected %lld to %lld", r->key, (long long)value, (long long)r->low,
                             (long long)r->high);
    }
}
