/*
 * metrics_count.c: a worker counts its requests, and tells how it stands.
 *
 * A request is counted when it is over, with some additions to memory that no other process writes. What changes in
 * between, and what other parts of the server count for themselves, is copied to the slot once a second and when the
 * master asks (metrics_publish). So what a worker that is killed has not yet told is a second's at most, and none of
 * its requests.
 */
#include "metrics/metrics_count.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "http/admission.h"
#include "http/connection.h"
#include "inside/running.h"
#include "log/log.h"
#include "metrics/metrics_table.h"
#include "metrics/resident.h"

#define PUBLISH_EVERY 1000 /* milliseconds */
#define MAX_PROBES    16   /* places of a series that are looked at */

/* What the last request was, which is often what the next one is; and where such are counted. */
struct latest {
    const struct request_limits *limits;
    const char *method; /* one of those that are known is always at the same address */
    int status;
    METRICS_COUNT *count;
    struct metrics_histogram *durations;
};

static struct {
    struct metrics_slot *slot; /* NULL: this process counts nothing */
    struct latest latest;      /* count is NULL before the first request */
    uint64_t published[METRICS_SUMS];
} counting;

/* ---- requests ---- */

static enum metrics_method method_class(const char *m)
{
    if (m[0] == 'G' && m[1] == 'E' && m[2] == 'T' && !m[3])
        return METHOD_GET;
    if (!strcmp(m, "POST"))
        return METHOD_POST;
    if (!strcmp(m, "HEAD"))
        return METHOD_HEAD;
    if (!strcmp(m, "PUT"))
        return METHOD_PUT;
    if (!strcmp(m, "PATCH"))
        return METHOD_PATCH;
    if (!strcmp(m, "DELETE"))
        return METHOD_DELETE;
    return strcmp(m, "OPTIONS") ? METHOD_OTHER : METHOD_OPTIONS;
}

/* Returns NULL if there is no place. */
static struct metrics_series *find_series(struct metrics_slot *slot, uint32_t key)
{
    unsigned at = key * 2654435761U / (UINT32_MAX / METRICS_SERIES + 1);

    for (unsigned i = 0; i < MAX_PROBES; i++) {
        struct metrics_series *series = &slot->series[(at + i) % METRICS_SERIES];

        if (series->key == 0)
            series->key = key;
        if (series->key == key)
            return series;
    }
    return NULL;
}

/* Not inlined: a request is often as the one before. */
static __attribute__((noinline)) void find_counters(const struct request *req)
{
    struct metrics_slot *slot = counting.slot;
    unsigned mount = req->limits ? req->limits->number : 0;
    struct metrics_series *series = find_series(slot, metrics_key(mount, method_class(req->view.method), req->status));

    counting.latest = (struct latest){
        .limits = req->limits,
        .method = req->view.method,
        .status = req->status,
        .count = series ? &series->count : &slot->lost,
        .durations = &slot->durations[mount],
    };
}

static void observe(struct metrics_histogram *histogram, int64_t nanoseconds)
{
    metrics_add(&histogram->counts[metrics_bucket(nanoseconds)], 1);
    metrics_add(&histogram->sum, (uint64_t)nanoseconds);
}

/* What the coroutine has done for the request besides running. Not inlined: most requests wait for nothing. */
static __attribute__((noinline)) void count_waits(struct metrics_slot *slot, const struct coro_account *account)
{
    metrics_add(&slot->ready, (uint64_t)account->ready);
    metrics_add(&slot->pool, (uint64_t)account->pool);
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++)
        if (account->waits[kind]) {
            metrics_add(&slot->calls[kind], account->waits[kind]);
            observe(&slot->waited[kind], account->waited[kind]);
        }
}

static uint64_t body_received(const struct request *req)
{
    if (req->body_kind == BODY_SIZED)
        return (uint64_t)(req->view.length - req->body_left);
    return (uint64_t)req->body_taken + req->framing;
}

static inline bool is_as_latest(const struct request *req)
{
    const struct latest *latest = &counting.latest;

    return latest->method == req->view.method && latest->limits == req->limits && latest->status == req->status;
}

void metrics_count_request(const struct request *req)
{
    struct metrics_slot *slot = counting.slot;
    const struct coro *co = coro_current;

    if (!slot) /* a forked child */
        return;
    if (!is_as_latest(req))
        find_counters(req);
    metrics_add(counting.latest.count, 1);
    metrics_add(&slot->bytes_in, req->received);
    metrics_add(&slot->bytes_out, (uint64_t)req->sent + req->head_size);
    if (req->body_kind != BODY_NONE)
        metrics_add(&slot->bytes_in, body_received(req));
    observe(counting.latest.durations, wait_now() - req->began);
    metrics_add(&slot->queued, (uint64_t)req->queued);
    if (co && co->account && co->account->used)
        count_waits(slot, co->account);
}

/* ---- how the worker stands ---- */

static uint64_t process_cpu_time(void)
{
    struct timespec time = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void publish_sums(struct metrics_slot *slot)
{
    for (unsigned i = 0; i < METRICS_SUMS; i++) {
        uint64_t now = i < EVENTS ? metrics_get(&events[i]) : i == SUM_PROCESS_CPU ? process_cpu_time() : wait_count();

        metrics_add(&slot->sums[i], now - counting.published[i]);
        counting.published[i] = now;
    }
}

void metrics_publish(void)
{
    struct metrics_slot *slot = counting.slot;
    struct coro_stats stats = coro_stats();

    if (!slot)
        return;
    metrics_set(&slot->gauges.in_flight, running_count());
    metrics_set(&slot->gauges.queued, admission_queued());
    metrics_set(&slot->gauges.connections, http_connections());
    metrics_set(&slot->gauges.coroutines, stats.running);
    metrics_set(&slot->gauges.stacks, stats.stacks);
    metrics_set(&slot->gauges.resident, (uint64_t)resident_bytes());
    publish_sums(slot);
}

const struct metrics_slot *metrics_own_slot(void)
{
    return counting.slot;
}

/* In a forked child, which is no worker. */
static void forget_slot(void)
{
    counting.slot = NULL;
}

void metrics_count_start(void)
{
    counting.slot = metrics_slot_take();
    if (!counting.slot) {
        log_warn("what this worker does is not counted: no slot is free");
        return;
    }
    for (unsigned i = 0; i < EVENTS; i++) /* those of a fork server are not ours */
        counting.published[i] = events[i];
    pthread_atfork(NULL, NULL, forget_slot);
    wait_every(PUBLISH_EVERY, metrics_publish);
}
