/*
 * openmetrics.c: what was counted, as a page for Prometheus.
 *
 * One page is for all workers, so that it does not matter which of them is asked. Label values are names of sections,
 * kinds and statuses: nothing that a client chooses, or each scanner would leave thousands of series behind. Metrics
 * with one value are a table, the others have a function each.
 */
#include "metrics/openmetrics.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/mem.h"
#include "libc/outbound/outbound.h"
#include "metrics/metrics_totals.h"
#include "wait/reason.h"

struct page {
    struct text *out;
    bool open; /* OpenMetrics */
};

enum unit { UNIT_NONE, UNIT_SECONDS }; /* UNIT_SECONDS: the value is nanoseconds */

/* ---- one metric ---- */

/* name: without "syncless_" and "_total". */
static void write_family(const struct page *page, const char *name, const char *type, const char *help)
{
    const char *total = !page->open && !strcmp(type, "counter") ? "_total" : "";
    const char *shown = !page->open && !strcmp(type, "info") ? "gauge" : type;

    if (!page->open && !strcmp(type, "info"))
        total = "_info";
    text_printf(page->out, "# TYPE syncless_%s%s %s\n", name, total, shown);
    text_printf(page->out, "# HELP syncless_%s%s %s\n", name, total, help);
}

static void write_seconds(struct text *out, uint64_t nanoseconds)
{
    text_printf(out, " %llu.%09llu\n", (unsigned long long)nanoseconds / 1000000000,
                (unsigned long long)nanoseconds % 1000000000);
}

static void write_number(struct text *out, uint64_t value)
{
    text_printf(out, " %llu\n", (unsigned long long)value);
}

/* Names of sections: any text. */
static void write_label(struct text *out, const char *before, const char *value)
{
    text_printf(out, "%s=\"", before);
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;

        if (c == '"' || c == '\\')
            text_add(out, "\\", 1);
        text_add(out, c < ' ' || c == 0x7f ? "?" : value, 1); /* the names of sections are UTF-8, as the format wants */
    }
    text_add(out, "\"", 1);
}

/* ---- with one value ---- */

static const struct scalar {
    const char *name, *type, *help;
    enum unit unit;
    size_t offset; /* in struct metrics_totals */
} scalars[] = {
#define SCALAR(name, type, field, unit, help)                                                                          \
    {                                                                                                                  \
        name, type, help, unit, offsetof(struct metrics_totals, field)                                                 \
    }
    SCALAR("requests_in_flight", "gauge", in_flight, UNIT_NONE, "Requests that run."),
    SCALAR("requests_queued", "gauge", queued, UNIT_NONE, "Requests that wait for others, by max-concurrency."),
    SCALAR("connections", "gauge", connections, UNIT_NONE, "Open connections of clients."),
    SCALAR("coroutines", "gauge", coroutines, UNIT_NONE, "Coroutines that run or wait."),
    SCALAR("stacks", "gauge", stacks, UNIT_NONE, "Stacks of coroutines, in use or kept."),
    SCALAR("resident_memory_bytes", "gauge", resident, UNIT_NONE, "Resident memory of the workers."),
    SCALAR("received_bytes", "counter", bytes_in, UNIT_NONE, "Bytes of requests with their heads."),
    SCALAR("sent_bytes", "counter", bytes_out, UNIT_NONE, "Bytes of responses with their heads."),
    SCALAR("cpu_seconds", "counter", sums[SUM_PROCESS_CPU], UNIT_SECONDS, "CPU time of the workers."),
    SCALAR("waits", "counter", sums[SUM_WAITS], UNIT_NONE, "Waits of coroutines, for anything."),
    SCALAR("loop_held", "counter", sums[EVENT_HELD], UNIT_NONE,
           "Iterations of an event loop that took longer than half a time slice."),
    SCALAR("loop_held_seconds", "counter", sums[EVENT_HELD_TIME], UNIT_SECONDS, "Time of these iterations."),
    SCALAR("preemptions", "counter", sums[EVENT_PREEMPTION], UNIT_NONE,
           "Times that a coroutine has used up its slice and let others run."),
    SCALAR("offloaded_calls", "counter", sums[EVENT_OFFLOADED], UNIT_NONE, "Calls that were made by other threads."),
    SCALAR("departures", "counter", sums[EVENT_DEPARTED], UNIT_NONE,
           "Times that code without the GIL has gone on upon another thread."),
    SCALAR("gil_waits", "counter", sums[EVENT_LOCK_WAIT], UNIT_NONE,
           "Waits of coroutines for the GIL, which hold up the event loop."),
    SCALAR("gil_wait_seconds", "counter", sums[EVENT_LOCK_WAIT_TIME], UNIT_SECONDS, "Time of these waits."),
    SCALAR("worker_restarts", "counter", restarts, UNIT_NONE, "Workers that have died and were started again."),
    SCALAR("reloads", "counter", reloads, UNIT_NONE, "Reloads of the configuration."),
    SCALAR("reload_failures", "counter", failed_reloads, UNIT_NONE, "Reloads that have failed."),
};

static void write_scalars(const struct page *page, const struct metrics_totals *totals)
{
    for (size_t i = 0; i < ARRAY_SIZE(scalars); i++) {
        const struct scalar *s = &scalars[i];
        uint64_t value = *(const uint64_t *)((const char *)totals + s->offset);

        write_family(page, s->name, s->type, s->help);
        text_printf(page->out, "syncless_%s%s", s->name, strcmp(s->type, "counter") ? "" : "_total");
        if (s->unit == UNIT_SECONDS)
            write_seconds(page->out, value);
        else
            write_number(page->out, value);
    }
}

/* ---- requests ---- */

static const char *const method_names[METRICS_METHODS] = {
    [METHOD_OTHER] = "other", [METHOD_GET] = "GET",     [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",     [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS",
};

static void write_requests(const struct page *page, const struct metrics_totals *totals)
{
    write_family(page, "requests", "counter", "Requests that are over, by the section that has served them.");
    for (size_t i = 0; i < totals->row_count; i++) {
        const struct metrics_row *row = &totals->rows[i];

        write_label(page->out, "syncless_requests_total{mount", metrics_mount_name(row->mount));
        text_printf(page->out, ",method=\"%s\",status=\"%d\"}", method_names[row->method], row->status);
        write_number(page->out, row->count);
    }
    if (totals->lost) {
        text_printf(page->out, "syncless_requests_total{mount=\"\",method=\"other\",status=\"other\"}");
        write_number(page->out, totals->lost);
    }
}

static void write_time_parts(const struct page *page, const struct metrics_totals *totals)
{
    const struct {
        const char *part;
        uint64_t time;
    } parts[] = {{"queue", totals->queue_time}, {"cpu", totals->cpu}, {"ready", totals->ready}, {"pool", totals->pool}};

    write_family(page, "request_time_seconds", "counter", "Where the time of requests went, besides waits.");
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        text_printf(page->out, "syncless_request_time_seconds_total{part=\"%s\"}", parts[i].part);
        write_seconds(page->out, parts[i].time);
    }
}

/* ---- histograms ---- */

static void write_histogram(const struct page *page, const char *name, const char *label, const char *value,
                            const struct metrics_times *times)
{
    struct text *out = page->out;
    uint64_t count = 0;

    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        count += times->counts[i];
        text_printf(out, "syncless_%s_bucket{", name);
        write_label(out, label, value);
        if (i + 1 < METRICS_BUCKETS)
            text_printf(out, ",le=\"%.10g\"}", (double)metrics_bound(i) / 1e6);
        else
            text_printf(out, ",le=\"+Inf\"}");
        write_number(out, count);
    }
    text_printf(out, "syncless_%s_count{", name);
    write_label(out, label, value);
    text_printf(out, "}");
    write_number(out, count);
    text_printf(out, "syncless_%s_sum{", name);
    write_label(out, label, value);
    text_printf(out, "}");
    write_seconds(out, times->sum);
}

static void write_durations(const struct page *page, const struct metrics_totals *totals)
{
    write_family(page, "request_duration_seconds", "histogram",
                 "From the end of a request's head to the end of its response, by section.");
    for (unsigned i = 0; i < METRICS_MOUNTS; i++)
        if (totals->durations[i].count)
            write_histogram(page, "request_duration_seconds", "mount", metrics_mount_name(i), &totals->durations[i]);
}

static void write_waits(const struct page *page, const struct metrics_totals *totals)
{
    write_family(page, "request_wait_seconds", "histogram",
                 "How long a request has waited for things of a kind, if it has.");
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++)
        write_histogram(page, "request_wait_seconds", "kind", reason_kind_name(kind), &totals->waited[kind]);
    write_family(page, "request_waits", "counter", "Waits of requests.");
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++) {
        text_printf(page->out, "syncless_request_waits_total{kind=\"%s\"}", reason_kind_name(kind));
        write_number(page->out, totals->calls[kind]);
    }
}

/* ---- connections of applications ---- */

struct outbound_metric {
    const char *name, *type, *help;
    uint64_t (*value)(const struct tally_counts *counts);
    enum unit unit;
};

static uint64_t count_open(const struct tally_counts *counts)
{
    return counts->open;
}

static uint64_t count_opened(const struct tally_counts *counts)
{
    return counts->opened;
}

static uint64_t count_waited(const struct tally_counts *counts)
{
    return counts->waited;
}

static uint64_t count_waited_for(const struct tally_counts *counts)
{
    return (uint64_t)counts->waited_for;
}

static uint64_t count_given_up(const struct tally_counts *counts)
{
    return counts->given_up;
}

static const struct outbound_metric outbound_metrics[] = {
    {"outbound_connections", "gauge", "Open connections of applications to the peer of [outbound PEER].", count_open,
     UNIT_NONE},
    {"outbound_connections_opened", "counter", "Such connections since the start.", count_opened, UNIT_NONE},
    {"outbound_waits", "counter", "Such connections that had to wait for others.", count_waited, UNIT_NONE},
    {"outbound_wait_seconds", "counter", "Time of these waits.", count_waited_for, UNIT_SECONDS},
    {"outbound_give_ups", "counter", "Such connections that were not made within queue-timeout.", count_given_up,
     UNIT_NONE},
};

static void write_outbound(const struct page *page)
{
    for (size_t i = 0; i < ARRAY_SIZE(outbound_metrics); i++) {
        const struct outbound_metric *m = &outbound_metrics[i];
        struct tally_counts counts;
        const char *title;

        write_family(page, m->name, m->type, m->help);
        for (size_t n = 0; (title = outbound_shared_counts(n, &counts)); n++) {
            text_printf(page->out, "syncless_%s%s{", m->name, strcmp(m->type, "counter") ? "" : "_total");
            write_label(page->out, "destination", title);
            text_printf(page->out, "}");
            if (m->unit == UNIT_SECONDS)
                write_seconds(page->out, m->value(&counts));
            else
                write_number(page->out, m->value(&counts));
        }
    }
}

/* ---- the server ---- */

static void write_server(const struct page *page, const struct openmetrics_server *server)
{
    const struct {
        const char *state;
        unsigned count;
    } states[] = {{"starting", server->starting},
                  {"serving", server->serving},
                  {"stopping", server->stopping},
                  {"stuck", server->stuck}};
    struct timespec wall, boot;

    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    write_family(page, "build", "info", "The version of the server.");
    write_label(page->out, "syncless_build_info{version", server->version);
    text_printf(page->out, "} 1\n");
    write_family(page, "start_time_seconds", "gauge", "When the server began to count, as Unix time.");
    text_printf(page->out, "syncless_start_time_seconds %lld\n",
                (long long)(wall.tv_sec - boot.tv_sec + metrics_since() / 1000000000));
    write_family(page, "workers", "gauge", "Workers, by how they stand.");
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        text_printf(page->out, "syncless_workers{state=\"%s\"} %u\n", states[i].state, states[i].count);
    write_family(page, "workers_wanted", "gauge", "Workers that there are to be.");
    text_printf(page->out, "syncless_workers_wanted %u\n", server->wanted);
}

void openmetrics_write(const struct openmetrics_server *server, bool open, struct text *out)
{
    struct metrics_totals *totals = xmalloc(sizeof(*totals));
    struct page page = {out, open};

    metrics_totals_take(totals);
    write_server(&page, server);
    write_requests(&page, totals);
    write_durations(&page, totals);
    write_waits(&page, totals);
    write_time_parts(&page, totals);
    write_scalars(&page, totals);
    write_outbound(&page);
    if (open)
        text_printf(out, "# EOF\n");
    free(totals);
}
