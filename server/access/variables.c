/*
 * variables.c: what a line of the access log can say about a request.
 *
 * Names are those of uWSGI where it has one. Durations come from timestamps that are taken during a request only if
 * there is an access log: when its first bytes arrived, when its head was complete, and how long its coroutine held the
 * OS thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "access/record.h"
#include "base/calendar.h"
#include "base/mem.h"
#include "http/io/output.h"
#include "http/request/trace_context.h"
#include "http/response/status.h"
#include "wait/wait.h"

void record_init(struct record *record, const struct request *req)
{
    record->req = req;
    record->total = wait_now() - req->began;
    record->busy = coro_busy() - req->busy;
}

static struct span span_of(const char *s)
{
    return (struct span){s && *s ? s : NULL, s ? strlen(s) : 0};
}

/* ---- fields ---- */

static struct span request_field(const struct request *req, const char *name)
{
    const struct sl_field *field = req->view.fields;

    for (size_t i = 0; i < req->view.field_count; i++, field++)
        if (!strcasecmp(field->name, name))
            return (struct span){field->value, field->value_size};
    return (struct span){NULL, 0};
}

static struct span get_request_field(const struct record *r)
{
    return request_field(r->req, r->argument);
}

/* Look among the fields that the handler has set, lines `Name: value\r\n`. */
static struct span get_response_field(const struct record *r)
{
    const char *at = r->req->fields, *end = at + r->req->fields_size;
    size_t size = strlen(r->argument);

    while (at < end) {
        const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);

        if (!strncasecmp(at, r->argument, size) && at[size] == ':')
            return (struct span){at + size + 2, (size_t)(line_end - at) - size - 2};
        at = line_end + 2;
    }
    return (struct span){NULL, 0};
}

const struct variable variable_request_field = {.string = get_request_field};
const struct variable variable_response_field = {.string = get_response_field};

static struct span get_referer(const struct record *r)
{
    return request_field(r->req, "Referer");
}

static struct span get_agent(const struct record *r)
{
    return request_field(r->req, "User-Agent");
}

static struct span get_request_id(const struct record *r)
{
    return span_of(request_id(r->req));
}

static struct span get_trace_id(const struct record *r)
{
    return span_of(r->req->trace ? r->req->trace->trace_id : NULL);
}

static struct span get_span_id(const struct record *r)
{
    return span_of(r->req->trace ? r->req->trace->span_id : NULL);
}

/* ---- the user of Basic authentication, RFC 7617 ---- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* Decode up to the colon after the name, the end of the text, or capacity. Returns the size of the name. */
static size_t decode_user(char *to, size_t capacity, const char *from)
{
    unsigned bits = 0;
    size_t size = 0;

    for (int have = 0, digit; size < capacity && (digit = base64_digit(*from)) >= 0; from++) {
        bits = bits << 6 | (unsigned)digit;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        to[size] = (char)(bits >> have);
        if (to[size] == ':')
            break;
        size++;
    }
    return size;
}

static struct span get_user(const struct record *r)
{
    static char name[256];
    struct span field = request_field(r->req, "Authorization");

    if (r->req->view.user)
        return span_of(r->req->view.user);
    if (!field.at || strncasecmp(field.at, "Basic ", 6))
        return (struct span){NULL, 0};
    field.size = decode_user(name, sizeof(name), field.at + 6 + strspn(field.at + 6, " "));
    return (struct span){field.size ? name : NULL, field.size};
}

/* ---- the request ---- */

static struct span get_addr(const struct record *r)
{
    return span_of(r->req->view.peer);
}

static struct span get_method(const struct record *r)
{
    return span_of(r->req->view.method);
}

static struct span get_uri(const struct record *r)
{
    return span_of(r->req->view.target);
}

static struct span get_path(const struct record *r)
{
    size_t size = strcspn(r->req->view.target, "?");

    return (struct span){size ? r->req->view.target : NULL, size};
}

static struct span get_query(const struct record *r)
{
    return span_of(r->req->view.query);
}

static struct span get_proto(const struct record *r)
{
    return span_of(r->req->version);
}

static struct span get_host(const struct record *r)
{
    return span_of(r->req->view.host);
}

static struct span get_mount(const struct record *r)
{
    return span_of(r->req->view.mount);
}

static struct span get_server(const struct record *r)
{
    return span_of(r->req->view.server);
}

static int64_t get_port(const struct record *r)
{
    return r->req->view.peer_port;
}

static int64_t get_server_port(const struct record *r)
{
    return r->req->view.server_port;
}

/* ---- the response ---- */

static int64_t get_status(const struct record *r)
{
    int err = r->req->out->error;

    if (err == -EPIPE || err == -ECONNRESET || (r->req->body_error == -ECONNRESET && !request_is_cut(r->req)))
        return STATUS_CLIENT_CLOSED_REQUEST;
    return r->req->status;
}

static int64_t get_size(const struct record *r)
{
    return r->req->sent;
}

static int64_t get_response_size(const struct record *r)
{
    return r->req->sent + (int64_t)r->req->head_size;
}

/* ---- times ---- */

static struct span get_time(const struct record *r)
{
    static char line[80];
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    snprintf(line, sizeof(line), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
    return span_of(line);
}

/* The zone of the server: an application may set another for its process (Django does), and then that of the start is
 * used on, without its change from winter to summer. */
static struct {
    char *name; /* TZ, owned; NULL: not set */
    long east;  /* seconds */
    bool known;
} zone;

void record_keep_zone(void)
{
    const char *name = getenv("TZ");
    time_t now = time(NULL);
    struct tm tm;

    if (zone.known)
        return;
    localtime_r(&now, &tm);
    zone.name = name ? xstrdup(name) : NULL;
    zone.east = tm.tm_gmtoff;
    zone.known = true;
}

static void zone_time(time_t now, struct tm *tm)
{
    const char *name = getenv("TZ");
    bool same = name && zone.name ? !strcmp(name, zone.name) : !name && !zone.name;

    if (same || !zone.known) {
        localtime_r(&now, tm);
        return;
    }
    now += zone.east;
    gmtime_r(&now, tm);
    tm->tm_gmtoff = zone.east;
}

/* Cached for a second: localtime_r walks the time-zone transition table. */
static struct span get_local_time(const struct record *r)
{
    static char line[80];
    static time_t second = -1;
    time_t now = time(NULL);
    struct tm tm;
    long east;

    if (now == second)
        return span_of(line);
    second = now;
    zone_time(now, &tm);
    east = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
    snprintf(line, sizeof(line), "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld", tm.tm_mday, calendar_month(tm.tm_mon),
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_gmtoff < 0 ? '-' : '+', east / 3600,
             east / 60 % 60);
    return span_of(line);
}

static int64_t get_micros(const struct record *r)
{
    return r->total / 1000;
}

static int64_t get_millis(const struct record *r)
{
    return r->total / 1000000;
}

static int64_t get_queue(const struct record *r)
{
    return r->req->queued / 1000;
}

static int64_t get_cpu(const struct record *r)
{
    return r->busy / 1000;
}

static int64_t get_wait(const struct record *r)
{
    return (r->total - r->busy) / 1000;
}

static int64_t get_part(const struct record *r)
{
    return standing_part(&r->standing, r->part) / 1000;
}

const struct variable variable_part = {.number = get_part};

/* ---- the worker ---- */

static int64_t get_pid(const struct record *r)
{
    return r->pid;
}

static int64_t get_worker(const struct record *r)
{
    return r->worker;
}

const struct variable variables[] = {
    {"addr", .string = get_addr},
    {"user", .string = get_user},
    {"ltime", .string = get_local_time},
    {"time", .string = get_time},
    {"method", .string = get_method},
    {"uri", .string = get_uri},
    {"path", .string = get_path},
    {"query", .string = get_query},
    {"proto", .string = get_proto},
    {"host", .string = get_host},
    {"mount", .string = get_mount},
    {"referer", .string = get_referer},
    {"uagent", .string = get_agent},
    {"request_id", .string = get_request_id},
    {"trace_id", .string = get_trace_id},
    {"span_id", .string = get_span_id},
    {"server", .string = get_server},
    {"port", .number = get_port},
    {"server_port", .number = get_server_port},
    {"status", .number = get_status},
    {"size", .number = get_size},
    {"rsize", .number = get_response_size},
    {"secs", .number = get_micros, .seconds = true},
    {"msecs", .number = get_millis},
    {"micros", .number = get_micros},
    {"queue_us", .number = get_queue},
    {"cpu_us", .number = get_cpu},
    {"wait_us", .number = get_wait},
    {"pid", .number = get_pid},
    {"wid", .number = get_worker},
    {.name = NULL},
};
