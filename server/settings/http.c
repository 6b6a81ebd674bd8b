/*
 * http.c: the keys of limits and time-outs that hold for the server as a whole.
 *
 * Their place is [limits], beside those of mounts; [server] takes them too, where some people look first. Defaults are
 * nginx's where it has one. max-connections is not: its 512 are for one of many workers that each serve few, and here
 * one worker serves thousands. Nor has nginx max-concurrency and queue-timeout, since it runs no applications.
 */
#include "settings/http.h"

#include <string.h>
#include <strings.h>

#include "conf/internal.h"

#define FIELD(name) .offset = offsetof(struct traffic_settings, name)

const struct sl_option traffic_options[] = {
    {.name = "max-concurrency",
     .kind = SL_INTEGER,
     FIELD(max_concurrency),
     .default_value = "10000",
     .help = "Requests that one worker runs at once; further ones wait."},
    {.name = "queue-timeout",
     .kind = SL_DURATION,
     FIELD(queue_timeout),
     .default_value = "10s",
     .help = "How long one waits when max-concurrency run; then it is answered with 503 and Retry-After."},
    {.name = "max-connections",
     .kind = SL_INTEGER,
     FIELD(max_connections),
     .default_value = "16384",
     .help = "Connections open at once in one worker; idle ones are closed to make room, further ones wait."},
    {.name = "max-request-line",
     .kind = SL_SIZE,
     FIELD(max_request_line),
     .default_value = "8k",
     .help = "Longest request line; a longer one is answered with 414."},
    {.name = "max-header-size",
     .kind = SL_SIZE,
     FIELD(max_header_size),
     .default_value = "32k",
     .help = "Largest head of a request, with its request line; a larger one is answered with 431."},
    {.name = "max-headers",
     .kind = SL_INTEGER,
     FIELD(max_headers),
     .default_value = "1000",
     .help = "Most header fields of a request; more are answered with 431."},
    {.name = "header-timeout",
     .kind = SL_DURATION,
     FIELD(header_timeout),
     .default_value = "60s",
     .help = "Time for a whole head to arrive; then 408, or just a close if nothing came."},
    {.name = "keepalive-timeout",
     .kind = SL_DURATION,
     FIELD(keepalive_timeout),
     .default_value = "75s",
     .help = "How long a connection is kept open between two requests."},
    {.name = "body-timeout",
     .kind = SL_DURATION,
     FIELD(body_timeout),
     .default_value = "60s",
     .help = "Longest wait for the next bytes of a request body; then 408."},
    {.name = "write-timeout",
     .kind = SL_DURATION,
     FIELD(write_timeout),
     .default_value = "60s",
     .help = "Longest wait for a client to take bytes of the response; then the connection is closed."},
    {.name = NULL},
};

/* Lists of words on their way to struct proxies. */
struct proxies_raw {
    const char *const *trusted, *const *fields;
};

const struct sl_option proxies_options[] = {
    {.name = "trusted-proxies",
     .kind = SL_STRINGS,
     .offset = offsetof(struct proxies_raw, trusted),
     .help = "Addresses and networks of proxies whose word on the client is believed; unix for those on Unix sockets."},
    {.name = "trusted-headers",
     .kind = SL_STRINGS,
     .offset = offsetof(struct proxies_raw, fields),
     .help = "Which of their header fields; x-forwarded-for, x-forwarded-proto and x-request-id by default."},
    {.name = NULL},
};

static const struct {
    const char *name;
    enum forwarded_field field;
} forwarded_fields[] = {
    {"forwarded", FORWARDED},
    {"x-forwarded-for", FORWARDED_FOR},
    {"x-forwarded-proto", FORWARDED_PROTO},
    {"x-forwarded-host", FORWARDED_HOST},
    {"x-forwarded-prefix", FORWARDED_PREFIX},
    {"x-request-id", FORWARDED_ID},
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

static unsigned field_of(const char *name)
{
    for (size_t i = 0; i < sizeof(forwarded_fields) / sizeof(*forwarded_fields); i++)
        if (strcasecmp(forwarded_fields[i].name, name) == 0)
            return forwarded_fields[i].field;
    return 0;
}

static void fill_networks(struct proxies *p, struct conf *c, const struct conf_section *s, const char *const *texts)
{
    struct network *networks;
    size_t count = 0;

    while (texts && texts[count])
        count++;
    networks = arena_alloc(&c->arena, (count + 1) * sizeof(*networks));
    for (size_t i = 0; i < count; i++) {
        const char *wrong = strcmp(texts[i], "unix") == 0 ? NULL : network_parse(&networks[p->count], texts[i]);

        if (wrong)
            conf_value_error(c, s, "trusted-proxies", i, "\"trusted-proxies = %s\": %s, or unix", texts[i], wrong);
        else if (strcmp(texts[i], "unix") == 0)
            p->local = true;
        else
            p->count++;
    }
    p->networks = networks;
}

static void fill_proxies(struct proxies *p, struct conf *c, const struct conf_section *s)
{
    struct proxies_raw raw = {0};

    conf_fill_options(c, (struct conf_section *const[]){(struct conf_section *)s}, 1, proxies_options, &raw);
    fill_networks(p, c, s, raw.trusted);
    p->fields = raw.fields ? 0 : FORWARDED_DEFAULT;
    for (size_t i = 0; raw.fields && raw.fields[i]; i++) {
        if (!field_of(raw.fields[i]))
            conf_value_error(c, s, "trusted-headers", i,
                             "\"trusted-headers = %s\": expected forwarded, x-forwarded-for, x-forwarded-proto, "
                             "x-forwarded-host, x-forwarded-prefix or x-request-id",
                             raw.fields[i]);
        p->fields |= field_of(raw.fields[i]);
    }
}

void traffic_fill(struct traffic_settings *t, struct conf *c)
{
    struct conf_section *chain[] = {conf_section_find(c, "limits"), conf_section_find(c, "server")};

    conf_fill_options(c, chain, 2, traffic_options, t);
    fill_proxies(&t->proxies, c, chain[1]);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        const struct range *r = &ranges[i];
        int64_t value = *(const int64_t *)((const char *)t + r->offset);

        if (value < r->low || value > r->high)
            conf_value_error(c, conf_entry_first(chain[0], r->key) ? chain[0] : chain[1], r->key, 0,
                             "\"%s = %lld\": expected %lld to %lld", r->key, (long long)value, (long long)r->low,
                             (long long)r->high);
    }
}
