/*
 * tracing_settings.c: the keys of [tracing], and the variables of OpenTelemetry for what they leave open.
 *
 * The variables are those of opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables. Where spans go
 * is never taken from the environment unasked: it is the application's too, whose own exporter may speak another
 * protocol there.
 */
#include "settings/tracing_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/options.h"

#define TRACES_PATH "/v1/traces"

enum traceparent { TRACEPARENT_OFF, TRACEPARENT_ACCEPT, TRACEPARENT_NEW };

struct tracing_raw {
    int traceparent;
    const char *otlp, *service_name;
    int64_t sample;
};

static const char *const traceparent_names[] = {
    [TRACEPARENT_OFF] = "off", [TRACEPARENT_ACCEPT] = "accept", [TRACEPARENT_NEW] = "new", NULL};

const struct sl_option tracing_options[] = {
    SL_OPTION("otlp", SL_STRING, struct tracing_raw, otlp,
              .help = "Collector that spans of requests are sent to by OTLP/HTTP, such as http://127.0.0.1:4318; "
                      "environment: where OTEL_EXPORTER_OTLP_ENDPOINT says."),
    SL_OPTION("service-name", SL_STRING, struct tracing_raw, service_name,
              .help = "What the collector calls this server; by default $OTEL_SERVICE_NAME."),
    SL_OPTION("sample", SL_INTEGER, struct tracing_raw, sample, .default_value = "1", .min = 1, .max = 1000000000,
              .help = "Of so many traces that begin here one is recorded; where a client has sent a traceparent, that "
                      "decides."),
    SL_OPTION("traceparent", SL_CHOICE, struct tracing_raw, traceparent, .default_value = "off",
              .choices = traceparent_names,
              .help = "accept: requests belong to the trace that their client names, or begin one; new: each begins "
                      "one; off, which with otlp is accept."),
    {.name = NULL},
};

/* ---- where to ---- */

/* Returns the collector that the environment names; NULL if there is none. *base_path is what it adds. */
static const char *collector_of_environment(struct conf *c)
{
    const char *traces = getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), *base = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    size_t size;

    if (traces && *traces)
        return traces;
    if (!base || !*base)
        return NULL;
    size = strlen(base);
    return arena_printf(&c->arena, "%.*s" TRACES_PATH, (int)(size - (base[size - 1] == '/')), base);
}

static const struct collector *fill_collector(struct conf *c, struct conf_section *s, const char *otlp)
{
    struct collector *collector = arena_alloc(&c->arena, sizeof(*collector));
    const char *url = otlp, *why;

    if (!strcmp(otlp, "environment"))
        url = collector_of_environment(c);
    why = url ? collector_parse(collector, &c->arena, url, TRACES_PATH)
              : "neither OTEL_EXPORTER_OTLP_ENDPOINT nor OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set";
    if (why)
        conf_value_error(c, s, "otlp", 0, "%s%s%s", why,
                         url == otlp || !url ? "" : ", in the environment: ", url == otlp || !url ? "" : url);
    return collector;
}

/* ---- whose spans ---- */

static void add_resource(struct text *out, const char *key, size_t key_size, const char *value)
{
    text_printf(out, "%s{\"key\":", out->buf[out->size - 1] == '[' ? "" : ",");
    text_add_json(out, key, key_size);
    text_printf(out, ",\"value\":{\"stringValue\":");
    text_add_json(out, value, strlen(value));
    text_printf(out, "}}");
}

/* Decode %XX in place. */
static void decode_percent(char *text)
{
    char *to = text, digits[3] = "";

    for (const char *at = text; *at; at++) {
        memcpy(digits, *at == '%' && at[1] && at[2] ? at + 1 : "\0", 2);
        if (strspn(digits, "0123456789abcdefABCDEF") == 2 && strtol(digits, NULL, 16)) {
            *to++ = (char)strtol(digits, NULL, 16);
            at += 2;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

/* Add OTEL_RESOURCE_ATTRIBUTES, KEY=VALUE,KEY=VALUE, and name by that of the service if it has one. */
static void add_resources_of_environment(struct text *out, struct arena *arena, const char **service)
{
    const char *given = getenv("OTEL_RESOURCE_ATTRIBUTES");
    char *rest = given ? arena_strndup(arena, given, strlen(given)) : NULL, *pair;

    while ((pair = strsep(&rest, ","))) {
        char *key = pair + strspn(pair, " "), *value = strchr(key, '=');

        if (!value || value == key)
            continue;
        *value++ = '\0';
        decode_percent(value);
        if (!strcmp(key, "service.name"))
            *service = *service ? *service : value;
        else
            add_resource(out, key, strlen(key), value);
    }
}

/* Returns the JSON of the resource. */
static const char *describe_resource(struct arena *arena, const char *service)
{
    const char *of_environment = getenv("OTEL_SERVICE_NAME"), *result;
    struct text out = {0};
    char host[256] = "";

    if (!service && of_environment && *of_environment)
        service = of_environment;
    text_printf(&out, "[");
    add_resources_of_environment(&out, arena, &service);
    add_resource(&out, "service.name", 12, service ? service : "unknown_service:syncless-server");
    if (gethostname(host, sizeof(host) - 1) == 0)
        add_resource(&out, "host.name", 9, host);
    text_printf(&out, "]");
    result = arena_strndup(arena, out.buf, out.size);
    free(out.buf);
    return result;
}

void tracing_settings_fill(struct tracing *t, struct conf *c)
{
    struct conf_section *s = conf_section_find(c, "tracing");
    struct tracing_raw raw = {0};

    conf_fill_options(c, &s, 1, tracing_options, &raw);
    *t = (struct tracing){
        .on = raw.otlp || raw.traceparent != TRACEPARENT_OFF,
        .rules = {raw.traceparent != TRACEPARENT_NEW, raw.sample},
    };
    if (!raw.otlp)
        return;
    t->collector = fill_collector(c, s, raw.otlp);
    t->resource = describe_resource(&c->arena, raw.service_name);
}
