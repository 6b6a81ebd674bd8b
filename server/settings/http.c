/*
 * http.c: the keys of HTTP that apply to the server as a whole.
 *
 * Their place is [limits], beside those of mounts; [server] takes them too, because some people look there first. The
 * defaults are nginx's where it has one. max-connections is an exception: nginx has 512 for one of many workers that
 * each serve a few connections, and here one worker serves thousands. nginx runs no applications, so it has no
 * max-concurrency and queue-timeout.
 */
#include "settings/http.h"

#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "conf/options.h"

const struct sl_option http_options[] = {
    SL_OPTION("max-concurrency", SL_INTEGER, struct http_settings, max_concurrency, .default_value = "10000", .min = 1,
              .max = 1000000, .help = "Requests that a worker runs at once; more wait in a queue."),
    SL_OPTION("queue-timeout", SL_DURATION, struct http_settings, queue_timeout, .default_value = "10s",
              .help = "Longest wait in that queue; then the answer is 503 with Retry-After."),
    SL_OPTION("max-connections", SL_INTEGER, struct http_settings, max_connections, .default_value = "16384", .min = 1,
              .max = 10000000,
              .help = "Open connections of a worker; idle ones are closed to make room, further ones wait."),
    SL_OPTION("max-request-line", SL_SIZE, struct http_settings, max_request_line, .default_value = "8k", .min = 64,
              .max = 1 << 20, .help = "Largest request line; a larger one is answered with 414."),
    SL_OPTION("max-header-size", SL_SIZE, struct http_settings, max_header_size, .default_value = "32k", .min = 256,
              .max = 1 << 20,
              .help = "Largest request head, with its request line; a larger one is answered with 431."),
    SL_OPTION("max-headers", SL_INTEGER, struct http_settings, max_headers, .default_value = "1000", .min = 1,
              .max = 100000, .help = "Most header fields of a request; more are answered with 431."),
    SL_OPTION("header-timeout", SL_DURATION, struct http_settings, header_timeout, .default_value = "60s",
              .help = "Time for a request head to arrive; then 408, or only a close if nothing has arrived."),
    SL_OPTION("keepalive-timeout", SL_DURATION, struct http_settings, keepalive_timeout, .default_value = "75s",
              .help = "Time that a connection is kept open between two requests."),
    SL_OPTION("body-timeout", SL_DURATION, struct http_settings, body_timeout, .default_value = "60s",
              .help = "Longest wait for the next bytes of a request body; then 408."),
    SL_OPTION("write-timeout", SL_DURATION, struct http_settings, write_timeout, .default_value = "60s",
              .help = "Longest wait for a client to accept bytes of the response; then the connection is closed."),
    {.name = NULL},
};

/* The lists of texts from which struct proxies is made. */
struct proxies_raw {
    const char *const *trusted, *const *fields;
};

const struct sl_option proxies_options[] = {
    SL_OPTION("trusted-proxies", SL_STRINGS, struct proxies_raw, trusted,
              .help = "Addresses and networks of proxies that are believed about the client; unix: on Unix sockets."),
    SL_OPTION("trusted-headers", SL_STRINGS, struct proxies_raw, fields,
              .help = "Header fields they are believed; by default x-forwarded-for, x-forwarded-proto, x-request-id."),
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

/* Returns 0 for an unknown name. */
static unsigned forwarded_field_by_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(forwarded_fields); i++)
        if (!strcasecmp(forwarded_fields[i].name, name))
            return forwarded_fields[i].field;
    return 0;
}

static void fill_networks(struct proxies *p, struct conf *c, const struct conf_section *server,
                          const char *const *texts)
{
    struct network *networks;
    size_t count = 0;

    while (texts && texts[count])
        count++;
    networks = arena_alloc(&c->arena, (count + 1) * sizeof(*networks));
    for (size_t i = 0; i < count; i++) {
        const char *why;

        if (!strcmp(texts[i], "unix"))
            p->local = true;
        else if ((why = network_parse(&networks[p->count], texts[i])))
            conf_value_error(c, server, "trusted-proxies", i, "%s, or unix", why);
        else
            p->count++;
    }
    p->networks = networks;
}

static void fill_proxies(struct proxies *p, struct conf *c)
{
    struct conf_section *server = conf_section_find(c, "server");
    struct proxies_raw raw = {0};

    conf_fill_options(c, &server, 1, proxies_options, &raw);
    fill_networks(p, c, server, raw.trusted);
    p->fields = raw.fields ? 0 : FORWARDED_DEFAULT;
    for (size_t i = 0; raw.fields && raw.fields[i]; i++) {
        unsigned field = forwarded_field_by_name(raw.fields[i]);

        if (!field)
            conf_value_error(c, server, "trusted-headers", i,
                             "expected forwarded, x-forwarded-for, x-forwarded-proto, x-forwarded-host, "
                             "x-forwarded-prefix or x-request-id");
        p->fields |= field;
    }
}

void http_settings_fill(struct http_settings *s, struct conf *c)
{
    struct conf_section *chain[] = {conf_section_find(c, "limits"), conf_section_find(c, "server")};

    conf_fill_options(c, chain, ARRAY_SIZE(chain), http_options, s);
    fill_proxies(&s->proxies, c);
}
