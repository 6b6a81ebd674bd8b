/*
 * export.c: the spans that wait to be sent, and the coroutine that sends them.
 *
 * Spans are kept as the JSON that will be sent: a request adds its own at its end, or drops it if QUEUE bytes are
 * there. Every second, or as soon as there are many, a coroutine takes them all as a batch and sends it. A batch that
 * the collector cannot take is tried again, later each time; meanwhile the queue fills. So requests never wait, and
 * memory is bounded. The coroutine ends when there is nothing to do, and does not keep the loop from ending.
 */
#include "otlp/export.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "log/log.h"
#include "wait/wait.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

#define QUEUE     (2 << 20)            /* bytes of spans that wait, beside those of the batch */
#define MANY      (256 << 10)          /* bytes that are sent at once */
#define EVERY     1000                 /* milliseconds between two batches otherwise */
#define TIMEOUT   INT64_C(10000000000) /* nanoseconds for a batch; that of the specification */
#define TRIES     5                    /* for a batch */
#define PAUSE     INT64_C(1000000000)  /* nanoseconds before the second try; twice that before the next */
#define MAX_PAUSE INT64_C(60000000000) /* that a collector can ask for */
#define LAST      INT64_C(700000000)   /* nanoseconds for all that is left at the end */
#define CHECK     20                   /* milliseconds between two looks whether it is sent */

static struct {
    const struct collector *collector; /* NULL: off */
    const char *resource;
    struct text queue; /* spans, each behind a comma */
    size_t queued;     /* their number */
    struct text batch; /* the message that is sent; empty: none */
    size_t batched;
    unsigned tries;      /* of the batch */
    int64_t next;        /* CLOCK_MONOTONIC ns of its next try */
    uint64_t dropped;    /* that were not told yet */
    bool failing;        /* and that was told */
    struct coro *sender; /* NULL: it does not run */
    bool stopping;
} export;

/* In a forked child. */
static void export_forget(void)
{
    export.collector = NULL;
    export.sender = NULL;
    export.queue.size = export.batch.size = 0;
}

/* ---- batches ---- */

static void make_batch(void)
{
    struct text *batch = &export.batch;

    text_printf(batch,
                "{\"resourceSpans\":[{\"resource\":{\"attributes\":%s},\"scopeSpans\":[{\"scope\":{\"name\":"
                "\"syncless-server\",\"version\":\"" VERSION "\"},\"spans\":[",
                export.resource);
    text_add(batch, export.queue.buf + 1, export.queue.size - 1);
    text_printf(batch, "]}]}]}");
    export.batched = export.queued;
    export.queued = export.queue.size = 0;
}

static void drop_batch(size_t lost)
{
    export.dropped += lost;
    export.batch.size = export.batched = 0;
    export.tries = 0;
}

static bool can_be_tried_again(const struct collector_answer *answer)
{
    int status = answer->status;

    return !status || status == 429 || status == 502 || status == 503 || status == 504;
}

static void log_failure(const struct collector_answer *answer)
{
    const char *url = export.collector->url;

    if (export.failing)
        return;
    export.failing = true;
    if (answer->status)
        log_warn("the collector %s answers %d to spans%s", url, answer->status,
                 can_be_tried_again(answer) ? ": trying again" : "");
    else
        log_warn("cannot send spans to the collector %s: %s: trying again", url, strerror(-answer->err));
}

/* Returns the nanoseconds to the next try: those that the collector wants, or twice as many each time, and up to a
 * quarter less, so that workers do not come all at once. */
static int64_t pause_after(const struct collector_answer *answer, int64_t now)
{
    int64_t pause = PAUSE << (export.tries - 1);

    if (answer->retry_after)
        return min_int64(answer->retry_after, MAX_PAUSE);
    return pause - now / 1000 % (pause / 4);
}

/* Returns whether the next batch can be sent. */
static bool settle_batch(const struct collector_answer *answer)
{
    int64_t now = wait_now();

    if (answer->status >= 200 && answer->status < 300) {
        if (export.failing)
            log_info("the collector %s takes spans again", export.collector->url);
        export.failing = false;
        drop_batch(0);
        return true;
    }
    log_failure(answer);
    if (answer->err == -ECANCELED) /* the worker stops: it is tried once more */
        return false;
    if (can_be_tried_again(answer) && ++export.tries < TRIES) {
        export.next = now + pause_after(answer, now);
        return false;
    }
    drop_batch(export.batched);
    export.next = now + PAUSE;
    return false;
}

/* ---- the coroutine ---- */

static void run_sender(void *arg)
{
    int64_t last = export.stopping ? wait_deadline(LAST) : WAIT_FOREVER;
    struct collector_answer answer;

    do {
        if (export.batch.size == 0)
            make_batch();
        answer = collector_post(export.collector, export.batch.buf, export.batch.size,
                                min_int64(wait_deadline(TIMEOUT), last));
    } while (settle_batch(&answer) && export.queued > 0);
    export.sender = NULL;
    if (!export.stopping)
        wait_hold(+1);
}

static void start_sender(void)
{
    if (!export.collector || export.sender || (export.batch.size == 0 && export.queued == 0))
        return;
    export.sender = wait_start(run_sender, NULL);
    if (export.sender && !export.stopping)
        wait_hold(-1);
}

static void tell_drops(void)
{
    if (export.dropped > 0)
        log_warn("%llu spans were dropped, since the collector %s does not take them",
                 (unsigned long long)export.dropped, export.collector->url);
    export.dropped = 0;
}

static void export_tick(void)
{
    if (!export.collector || export.stopping)
        return;
    tell_drops();
    if (wait_now() >= export.next)
        start_sender();
}

/* ---- for others ---- */

void export_start(const struct collector *collector, const char *resource)
{
    export.collector = collector;
    export.resource = resource;
    pthread_atfork(NULL, NULL, export_forget);
    wait_every(EVERY, export_tick);
}

void export_span(const char *json, size_t size)
{
    if (!export.collector)
        return;
    if (export.queue.size + size + 1 > QUEUE) {
        export.dropped++;
        return;
    }
    text_add(&export.queue, ",", 1);
    text_add(&export.queue, json, size);
    export.queued++;
    if (export.queue.size > MANY && !export.sender && !export.stopping && wait_now() >= export.next)
        start_sender();
}

void export_stop(void)
{
    if (export.sender && !export.stopping)
        wait_hold(+1);
    export.stopping = true;
}

void export_finish(void)
{
    int64_t deadline = wait_deadline(LAST);

    if (!export.collector)
        return;
    start_sender();
    while (export.sender && wait_now() < deadline) {
        wait_after(CHECK, wait_stop);
        wait_run();
    }
    if (export.sender)
        wait_cancel(export.sender, -ECANCELED);
    for (int i = 0; export.sender && i < 5; i++) { /* it runs up to its end */
        wait_after(CHECK, wait_stop);
        wait_run();
    }
    export.dropped += export.queued + (export.batch.size > 0 ? export.batched : 0);
    tell_drops();
}
