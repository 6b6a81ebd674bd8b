/*
 * request_span.c: a request that is over as a span of OpenTelemetry, and its waits for others as its children.
 *
 * Names of attributes are those of the semantic conventions for HTTP (opentelemetry.io/docs/specs/semconv/http); where
 * these have none, as for the parts of a request's time, they begin with "syncless.". A request that has waited for a
 * peer has one child for that peer, from the first wait to the last, with their number and their time: the server sees
 * waits, not calls of a database, of which each may take several.
 */
#include "otlp/request_span.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/array.h"
#include "base/digits.h"
#include "http/io/output.h"
#include "http/request/target.h"
#include "http/request/trace_context.h"
#include "http/response/status.h"
#include "inside/standing.h"

#define KIND_INTERNAL 1 /* of the protocol; so are the following */
#define KIND_SERVER   2
#define KIND_CLIENT   3
#define STATUS_ERROR  2

/* ---- attributes ---- */

static void add_attribute_key(struct text *out, const char *key)
{
    const char *between = out->buf[out->size - 1] == '[' ? "" : ",";

    text_printf(out, "%s{\"key\":\"%s\",\"value\":{", between, key);
}

static void add_text_attribute(struct text *out, const char *key, const char *value, size_t size)
{
    add_attribute_key(out, key);
    text_printf(out, "\"stringValue\":");
    text_add_json(out, value, size);
    text_add(out, "}}", 2);
}

/* Nothing is added for NULL and "". */
static void add_string_attribute(struct text *out, const char *key, const char *value)
{
    if (value && *value)
        add_text_attribute(out, key, value, strlen(value));
}

/* 64-bit numbers are strings in the JSON of protocol buffers. */
static void add_number_attribute(struct text *out, const char *key, int64_t value)
{
    add_attribute_key(out, key);
    text_printf(out, "\"intValue\":\"%lld\"}}", (long long)value);
}

/* ---- spans ---- */

/* What spans of one request share. */
struct span_writer {
    struct text *out;
    const struct request *req;
    int64_t to_real; /* nanoseconds to be added to CLOCK_MONOTONIC */
};

static int64_t clock_difference(void)
{
    struct timespec real, monotonic;

    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    return (real.tv_sec - monotonic.tv_sec) * INT64_C(1000000000) + real.tv_nsec - monotonic.tv_nsec;
}

/* Write the span up to its attributes. parent: "" if it has none. */
static void open_span(const struct span_writer *w, const char *id, const char *parent, int kind)
{
    const struct trace_context *trace = w->req->trace;

    text_printf(w->out, "{\"traceId\":\"%s\",\"spanId\":\"%s\",\"flags\":%u", trace->trace_id, id, trace->flags);
    if (*parent)
        text_printf(w->out, ",\"parentSpanId\":\"%s\"", parent);
    if (trace->state) {
        text_printf(w->out, ",\"traceState\":");
        text_add_json(w->out, trace->state, strlen(trace->state));
    }
    text_printf(w->out, ",\"kind\":%d,\"name\":", kind);
}

/* Write its times, CLOCK_MONOTONIC nanoseconds, and begin its attributes. */
static void add_span_times(const struct span_writer *w, int64_t began, int64_t ended)
{
    text_printf(w->out, ",\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\",\"attributes\":[",
                (long long)(began + w->to_real), (long long)(ended + w->to_real));
}

/* ---- the request ---- */

static const char *known_method(const char *method)
{
    static const char *const known[] = {"GET",     "HEAD",  "POST",  "PUT",   "DELETE",
                                        "CONNECT", "TRACE", "PATCH", "QUERY", "OPTIONS"};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (!strcmp(method, known[i]))
            return known[i];
    return NULL;
}

static void add_method(struct text *out, const char *method)
{
    const char *known = known_method(method);

    add_string_attribute(out, "http.request.method", known ? known : "_OTHER");
    if (!known)
        add_string_attribute(out, "http.request.method_original", method);
}

/* The host as the client has named it, or the address that it has come to. */
static void add_server(struct text *out, const struct sl_request *view)
{
    uint16_t port;
    size_t size = view->host ? target_host_size(view, &port) : 0; /* NULL: the head is malformed */
    size_t brackets = size > 2 && *view->host == '[';

    if (size > 0) {
        add_text_attribute(out, "server.address", view->host + brackets, size - 2 * brackets);
        add_number_attribute(out, "server.port", port);
        return;
    }
    add_string_attribute(out, "server.address", view->server);
    if (view->server_port)
        add_number_attribute(out, "server.port", view->server_port);
}

static void add_url(struct text *out, const struct sl_request *view)
{
    add_string_attribute(out, "url.scheme", view->scheme);
    add_text_attribute(out, "url.path", view->target, strcspn(view->target, "?"));
    add_string_attribute(out, "url.query", view->query);
}

static const char *find_user_agent(const struct sl_request *view)
{
    for (size_t i = 0; i < view->field_count; i++)
        if (!strcasecmp(view->fields[i].name, "User-Agent"))
            return view->fields[i].value;
    return NULL;
}

static void add_client(struct text *out, const struct request *req)
{
    add_string_attribute(out, "client.address", req->view.peer);
    if (req->view.peer_port)
        add_number_attribute(out, "client.port", req->view.peer_port);
    add_string_attribute(out, "user_agent.original", find_user_agent(&req->view));
    if (req->version)
        add_string_attribute(out, "network.protocol.version", req->view.http_minor ? "1.1" : "1.0");
}

static void add_response(struct text *out, const struct request *req, bool is_gone)
{
    char status[12];

    snprintf(status, sizeof(status), "%d", req->status);
    if (req->head_sent)
        add_number_attribute(out, "http.response.status_code", req->status);
    add_number_attribute(out, "http.response.body.size", req->sent);
    if (is_gone)
        add_string_attribute(out, "error.type", "client_gone");
    else if (req->status >= 500)
        add_string_attribute(out, "error.type", status);
}

/* Where its time went, in microseconds. */
static void add_parts(struct text *out, const struct standing *s)
{
    static const char *const parts[] = {"queue", "cpu", "ready", "pool"};
    char key[64];

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        snprintf(key, sizeof(key), "syncless.%s_us", parts[i]);
        add_number_attribute(out, key, standing_part(s, standing_part_by_name(parts[i], strlen(parts[i]))) / 1000);
    }
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++) {
        if (!s->waits[kind])
            continue;
        snprintf(key, sizeof(key), "syncless.wait.%s_us", reason_kind_name(kind));
        add_number_attribute(out, key, s->waited[kind] / 1000);
    }
}

static void write_server_span(const struct span_writer *w, const struct standing *s)
{
    const struct request *req = w->req;
    const char *method = known_method(req->view.method);
    int err = req->out->error;
    bool is_gone = err == -EPIPE || err == -ECONNRESET || req->status == STATUS_CLIENT_CLOSED_REQUEST;

    open_span(w, req->trace->span_id, req->trace->parent_id, KIND_SERVER);
    text_printf(w->out, "\"%s\"", method ? method : "HTTP");
    add_span_times(w, req->began, req->began + s->total);
    add_method(w->out, req->view.method);
    add_url(w->out, &req->view);
    add_server(w->out, &req->view);
    add_client(w->out, req);
    add_response(w->out, req, is_gone);
    add_string_attribute(w->out, "syncless.mount", req->view.mount);
    add_string_attribute(w->out, "syncless.request_id", request_id(req));
    add_parts(w->out, s);
    text_printf(w->out, "]");
    if (req->status >= 500 || is_gone)
        text_printf(w->out, ",\"status\":{\"code\":%d}", STATUS_ERROR);
    text_printf(w->out, "}");
}

/* ---- its waits ---- */

static void add_peer_address(struct text *out, const struct reason_peer *peer, const char *of)
{
    char address[ADDRESS_NAME_SIZE];
    uint16_t port = 0;

    if (peer->is_name) {
        add_string_attribute(out, "dns.question.name", of);
    } else if (peer->address.any.sa_family == AF_UNIX) {
        add_string_attribute(out, "network.transport", "unix");
        add_string_attribute(out, "server.address", strncmp(of, "unix:", 5) ? of : of + 5);
    } else {
        address_text(&peer->address.any, address, sizeof(address), &port);
        add_string_attribute(out, "server.address", address);
        add_number_attribute(out, "server.port", port);
        add_string_attribute(out, "network.peer.address", address);
        add_number_attribute(out, "network.peer.port", port);
    }
}

static void write_peer_span(const struct span_writer *w, const struct reason_peer *peer)
{
    char id[17] = "", of[REASON_TEXT_SIZE], name[REASON_TEXT_SIZE + 16];
    uint64_t words[2];

    request_new_id(words);
    digits_hex(id, words, 8);
    reason_peer_text(peer, of, sizeof(of));
    snprintf(name, sizeof(name), "%s %s", peer->size ? reason_kind_name(peer->kind) : "socket or dns",
             *of ? of : "others");
    text_printf(w->out, ",");
    open_span(w, id, w->req->trace->span_id, peer->kind == FOR_SOCKET ? KIND_CLIENT : KIND_INTERNAL);
    text_add_json(w->out, name, strlen(name));
    add_span_times(w, peer->first, peer->last);
    if (peer->size)
        add_peer_address(w->out, peer, of);
    add_number_attribute(w->out, "syncless.waits", peer->calls);
    add_number_attribute(w->out, "syncless.waited_us", peer->waited / 1000);
    text_printf(w->out, "]}");
}

void request_span_write(const struct request *req, struct text *out)
{
    struct span_writer w = {out, req, clock_difference()};
    struct standing s;

    standing_take(&s, req, coro_self());
    write_server_span(&w, &s);
    for (size_t i = 0; s.peers && i < s.peers->count; i++)
        if (s.peers->list[i].calls > 0)
            write_peer_span(&w, &s.peers->list[i]);
}
