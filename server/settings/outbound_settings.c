/*
 * outbound_settings.c: the sections [outbound PEER], limits for the connections that an application opens.
 *
 * queue-timeout is that of requests (http.c): a request that waits for a connection waits in a queue as well.
 */
#include "settings/outbound_settings.h"

#include "conf/options.h"

static const struct sl_option outbound_options[] = {
    SL_OPTION("max-connections", SL_INTEGER, struct outbound_limit, max_connections, .default_value = "0", .min = 0,
              .max = 1000000, .help = "Connections of all workers to it; further ones wait. 0: any number."),
    SL_OPTION("queue-timeout", SL_DURATION, struct outbound_limit, queue_timeout, .default_value = "10s",
              .help = "Longest wait for a connection to be closed; then connect fails with ETIMEDOUT. 0: any time."),
    SL_OPTION("connect-timeout", SL_DURATION, struct outbound_limit, connect_timeout, .default_value = "0",
              .help = "Time that a connect over IP may take; then it fails with ETIMEDOUT. 0: the kernel's."),
    SL_OPTION("peer-timeout", SL_DURATION, struct outbound_limit, peer_timeout, .default_value = "60s",
              .help = "Time without a sign of life of the peer's machine, then connections fail. 0: the kernel's."),
    {.name = NULL},
};

static const struct sl_option *const outbound_tables[] = {outbound_options, NULL};

static void fill_outbound(struct outbound_limit *limit, struct conf *c, struct conf_section *s)
{
    const char *why = remote_parse(&limit->remote, s->subject);

    if (why)
        conf_error(c, s->place, "bad peer in [%s]: %s", s->title, why);
    limit->title = s->title;
    conf_check_section(c, s, outbound_tables);
    conf_fill_options(c, &s, 1, outbound_options, limit);
}

void outbound_settings_fill(struct outbound_limits *limits, struct conf *c)
{
    struct conf_section *s = NULL;
    size_t count = 0;

    while ((s = conf_sections_named(c, "outbound", s)))
        count++;
    *limits = (struct outbound_limits){arena_alloc(&c->arena, count * sizeof(*limits->list)), count};
    for (count = 0; (s = conf_sections_named(c, "outbound", s)); count++) {
        limits->list[count] = (struct outbound_limit){0};
        fill_outbound(&limits->list[count], c, s);
    }
}

void outbound_settings_dump(struct conf *c, FILE *out)
{
    for (struct conf_section *s = NULL; (s = conf_sections_named(c, "outbound", s));) {
        fprintf(out, "\n[%s]\n", s->title);
        conf_dump_options(c, &s, 1, outbound_options, out);
    }
}
