/*
 * overview.c: what all workers have answered, as one document.
 *
 * Workers write their own parts, in the form that is asked for; here they are put together with what only the master
 * knows: how each process stands, also one that does not answer. docs/inside.md describes the JSON.
 */
#include "master/overview.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "inside/flight_trace.h"
#include "inside/running.h"
#include "master/stuck_requests.h"
#include "master/supervisor.h"
#include "metrics/metrics_totals.h"
#include "metrics/openmetrics.h"
#include "process/reload_state.h"
#include "wait/wait.h"

static const char *state_of(const struct gathered *w)
{
    static const char *const names[] = {
        [WORKER_STARTING] = "starting", [WORKER_SERVING] = "serving", [WORKER_STOPPING] = "stopping"};

    return w->is_stuck ? "stuck" : names[w->state];
}

/* ---- JSON ---- */

static void add_json_string(struct text *out, const char *name, const char *value, size_t size)
{
    text_printf(out, ",\"%s\":", name);
    text_add_json(out, value, size);
}

/* The first line of a report says what is done, the others are the stack. */
static void add_whereabouts(struct text *out, const struct gathered *w)
{
    const char *text = w->whereabouts;
    const char *at = text + strcspn(text, "\n"), *between = "";

    add_json_string(out, "stuck_in", text, (size_t)(at - text));
    if (w->note)
        add_json_string(out, "note", w->note, strlen(w->note));
    text_printf(out, ",\"stack\":[");
    while (*at) {
        size_t size = strcspn(++at, "\n"), indent = strspn(at, " ");

        if (size > indent && indent > 0) {
            text_add(out, between, strlen(between));
            text_add_json(out, at + indent, size - indent);
            between = ",";
        }
        at += size;
    }
    text_add(out, "]", 1);
}

static void add_json_master(struct text *out, const struct overview_master *master, int64_t now)
{
    const char *failure = reload_state_failure();

    text_printf(out, "\"master\":{\"pid\":%d,\"state\":\"%s\",\"uptime_us\":%lld,\"workers_wanted\":%zu", (int)getpid(),
                master->state, (long long)((now - master->started) / 1000), supervisor_wanted());
    if (failure)
        add_json_string(out, "reload_failure", failure, strlen(failure));
    text_add(out, "},", 2);
}

static void add_json_worker(struct text *out, const struct question *q, const struct gathered *w, int64_t now)
{
    bool is_list = q->what == ASK_REQUESTS || q->what == ASK_TRACE;

    text_printf(out, "{\"number\":%d,\"pid\":%d,\"state\":\"%s\",\"uptime_us\":%lld", w->number, (int)w->pid,
                state_of(w), (long long)((now - w->born) / 1000));
    if (w->is_stuck && w->silent)
        text_printf(out, ",\"silent_us\":%lld", (long long)(w->silent / 1000));
    if (w->is_stuck && w->whereabouts)
        add_whereabouts(out, w);
    if (is_list) {
        text_printf(out, ",\"requests\":[%s", w->answer ? w->answer : "");
        stuck_requests_write(q, w, out);
        text_add(out, "]", 1);
    } else if (w->size > 0) {
        text_printf(out, ",%s", w->answer);
    }
    text_add(out, "}", 1);
}

static void add_totals(struct text *out)
{
    struct metrics_totals *totals = xmalloc(sizeof(*totals));

    metrics_totals_take(totals);
    text_printf(out, "\"totals\":{");
    metrics_totals_write(totals, out);
    text_printf(out, "},");
    free(totals);
}

static void write_json_overview(const struct question *q, const struct overview_master *master,
                                const struct gathering *g, struct text *out)
{
    int64_t now = wait_now();

    text_printf(out, "{\"version\":%d,", INSIDE_VERSION);
    add_json_master(out, master, now);
    if (q->what == ASK_STATUS)
        add_totals(out);
    text_printf(out, "\"workers\":[");
    for (size_t i = 0; i < g->count; i++) {
        if (i > 0)
            text_add(out, ",", 1);
        add_json_worker(out, q, &g->workers[i], now);
    }
    text_printf(out, "]}\n");
}

/* ---- text ---- */

static void write_text_worker(const struct question *q, const struct gathered *w, int64_t now, struct text *out)
{
    bool is_list = q->what == ASK_REQUESTS || q->what == ASK_TRACE;
    size_t first = w->whereabouts ? strcspn(w->whereabouts, "\n") : 0;

    if (is_list && !w->is_stuck) {
        text_add(out, w->answer ? w->answer : "", w->size);
        return;
    }
    text_printf(out, "worker %d  pid %d  %s  for %lld s", w->number, (int)w->pid, state_of(w),
                (long long)((now - w->born) / 1000000000));
    if (w->size > 0)
        text_printf(out, "  %s", w->answer);
    if (w->is_stuck && first > 0)
        text_printf(out, ": %.*s", (int)first, w->whereabouts);
    if (w->note)
        text_printf(out, ": %s", w->note);
    if (w->is_stuck && w->whereabouts && is_list)
        text_printf(out, "%s", w->whereabouts + first);
    text_add(out, "\n", 1);
    if (is_list)
        stuck_requests_write(q, w, out);
}

static void write_text_overview(const struct question *q, const struct overview_master *master,
                                const struct gathering *g, struct text *out)
{
    const char *failure = reload_state_failure();
    int64_t now = wait_now();

    if (q->what == ASK_STATUS) {
        text_printf(out, "master  pid %d  %s  for %lld s  %zu workers wanted\n", (int)getpid(), master->state,
                    (long long)((now - master->started) / 1000000000), supervisor_wanted());
        if (failure)
            text_printf(out, "the last reload failed: %s\n", failure);
    }
    for (size_t i = 0; i < g->count; i++)
        write_text_worker(q, &g->workers[i], now, out);
}

/* The events of all workers as one trace. */
static void write_flight_overview(const struct gathering *g, struct text *out)
{
    const char *between = "";

    text_printf(out, "%s", FLIGHT_HEAD);
    for (size_t i = 0; i < g->count; i++) {
        if (g->workers[i].size == 0)
            continue;
        text_printf(out, "%s", between);
        text_add(out, g->workers[i].answer, g->workers[i].size);
        between = ",\n";
    }
    text_printf(out, "%s", FLIGHT_TAIL);
}

/* ---- metrics ---- */

static void write_metrics(const struct question *q, const struct gathering *g, struct text *out)
{
    struct openmetrics_server server = {.version = VERSION, .wanted = (unsigned)supervisor_wanted()};

    for (size_t i = 0; i < g->count; i++) {
        const struct gathered *w = &g->workers[i];

        server.stuck += w->is_stuck;
        server.starting += !w->is_stuck && w->state == WORKER_STARTING;
        server.serving += !w->is_stuck && w->state == WORKER_SERVING;
        server.stopping += !w->is_stuck && w->state == WORKER_STOPPING;
    }
    openmetrics_write(&server, !q->plain, out);
}

/* What each worker has sampled; one that is stuck tells later. */
static void write_profile_overview(const struct gathering *g, struct text *out)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->workers[i].size > 0)
            text_add(out, g->workers[i].answer, g->workers[i].size);
}

void overview_write(const struct question *q, const struct overview_master *master, const struct gathering *g,
                    struct text *out)
{
    if (q->what == ASK_RECORD)
        write_flight_overview(g, out);
    else if (q->what == ASK_METRICS)
        write_metrics(q, g, out);
    else if (q->what == ASK_PROFILE)
        write_profile_overview(g, out);
    else if (q->json)
        write_json_overview(q, master, g, out);
    else
        write_text_overview(q, master, g, out);
}
