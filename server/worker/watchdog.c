/*
 * watchdog.c: notice that something blocks the event loop, and have it reported.
 *
 * The watcher's thread (wait/watcher.c) has it look at the loop's count of iterations. If that does not change for too
 * long, the loop's thread is made to say what it is doing, by a signal (stack_report.c): for the log after
 * watchdog-timeout, 10 s and 60 s; and without a line each second, so that requests are noticed that compute past their
 * request-timeout. A worker that does not get over it is replaced by the master (master/liveness.c).
 *
 * Python code does not block the loop, since it is preempted, unless time-slice is 0. C code that holds the GIL does.
 */
#include "worker/watchdog.h"

#include <string.h>

#include "base/array.h"
#include "inside/flight.h"
#include "log/log.h"
#include "wait/wait.h"
#include "worker/stack_report.h"

#define SECOND     INT64_C(1000000000)
#define LOOK_EVERY SECOND /* nanoseconds */

static const int64_t log_again[] = {10 * SECOND, 60 * SECOND}; /* nanoseconds that the loop has been blocked */

static int64_t watchdog_timeout; /* nanoseconds */

/* Something that blocks the loop. */
struct block {
    int64_t since;     /* CLOCK_MONOTONIC nanoseconds; so is the next */
    int64_t looked;    /* 0: not yet */
    int64_t next_line; /* nanoseconds for which the loop has to be blocked before the log says so again */
};

static struct block block_begin(void)
{
    return (struct block){.since = wait_now(), .next_line = watchdog_timeout};
}

static int64_t line_after(int64_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(log_again); i++)
        if (log_again[i] > length)
            return log_again[i];
    return WAIT_FOREVER;
}

static void watch_block(struct block *block)
{
    int64_t now = wait_now(), length = now - block->since;
    bool log = length >= block->next_line;

    if (length < watchdog_timeout || (!log && now - block->looked < LOOK_EVERY))
        return;
    block->looked = now;
    if (log)
        block->next_line = line_after(length);
    stack_report_ask(log ? STACK_LOG : STACK_LOOK, block->since);
    if (log)
        flight_on_block();
}

/* On the watcher's thread. */
static void watchdog_look(unsigned iteration)
{
    static unsigned seen;
    static struct block block;

    if (iteration != seen || iteration & 1 || block.since == 0) { /* odd: the loop sleeps */
        seen = iteration;
        block = block_begin();
    } else {
        watch_block(&block);
    }
}

void watchdog_start(const struct process_settings *settings)
{
    struct wait_watching watching = {.slice = WAIT_SLICE};
    int err;

    watchdog_timeout = settings->watchdog_timeout * 1000000;
    if (watchdog_timeout) {
        watching.look = watchdog_look;
        watching.look_every = min_int64(watchdog_timeout, LOOK_EVERY) / 4;
    }
    if (settings->time_slice) {
        watching.slice = settings->time_slice * 1000000;
        watching.preempt = true;
    }
    err = wait_watch(&watching);
    if (err)
        log_warn("watchdog-timeout and time-slice have no effect: cannot start a thread: %s", strerror(-err));
}
