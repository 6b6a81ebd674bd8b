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

/* A sum that another part of this process keeps, and how much of it the slot has. */
struct published {
    uint64_t before;
};

static struct {
    struct metrics_slot *slot; /* NULL: this process counts nothing */
    struct published process_cpu, waits;
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

static void count_in_series(struct metrics_slot *slot, uint32_t key)
{
    unsigned at = key * 2654435761U / (UINT32_MAX / METRICS_SERIES + 1);

    for (unsigned i = 0; i < MAX_PROBES; i++) {
        struct metrics_series *series = &slot->series[(at + i) % METRICS_SERIES];
        uint32_t found = atomic_load_explicit(&series->key, memory_order_relaxed);

        if (found == 0)
            atomic_store_explicit(&series->key, found = key, memory_order_relaxed);
        if (found == key) {
            metrics_add(&series->count, 1);
            return;
        }
    }
    metrics_add(&slot->lost, 1);
}

static void observe(struct metrics_histogram *histogram, int64_t nanoseconds)
{
    metrics_add(&histogram->counts[metrics_bucket(nanoseconds)], 1);
    metrics_add(&histogram->sum, (uint64_t)max_int64(nanoseconds, 0));
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
    if (req->body_kind == BODY_NONE)
        return 0;
    if (req->body_kind == BODY_SIZED)
        return (uint64_t)(req->view.length - req->body_left);
    return (uint64_t)req->body_taken + req->framing;
}

void metrics_count_request(const struct request *req)
{
    struct metrics_slot *slot = counting.slot;
    const struct coro *co = coro_current;
    unsigned mount = req->limits ? req->limits->number : 0;
    int64_t now;

    if (!slot) /* a forked child */
        return;
    now = wait_now();
    count_in_series(slot, metrics_key(mount, method_class(req->view.method), req->status));
    observe(&slot->durations[mount], now - req->began);
    metrics_add(&slot->queued, (uint64_t)req->queued);
    metrics_add(&slot->bytes_in, req->received + body_received(req));
    metrics_add(&slot->bytes_out, (uint64_t)req->sent + req->head_size);
    if (!co)
        return;
    metrics_add(&slot->cpu, (uint64_t)(co->busy + now - co->since - req->busy));
    if (co->account && co->account->used)
        count_waits(slot, co->account);
}

/* ---- how the worker stands ---- */

static uint64_t process_cpu_time(void)
{
    struct timespec time = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void publish_sum(METRICS_COUNT *to, struct published *published, uint64_t now)
{
    metrics_add(to, now - published->before);
    published->before = now;
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
    publish_sum(&slot->process_cpu, &counting.process_cpu, process_cpu_time());
    publish_sum(&slot->waits, &counting.waits, wait_count());
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
    pthread_atfork(NULL, NULL, forget_slot);
    wait_every(PUBLISH_EVERY, metrics_publish);
}
