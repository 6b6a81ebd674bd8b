/*
 * gate.c: how many requests of a mount run at once.
 *
 * Those beyond wait here, in order, on their coroutines, since only their heads tell which mount they are for. They
 * give their permits back meanwhile: a slow mount whose queue is long must not keep the others from running. The place
 * of a request that ends goes to the first in the queue directly, so that nobody else can take it.
 */
#include "http/gate.h"

#include <errno.h>

#include "log/log.h"
#include "wait/reason.h"

#define LOG_INTERVAL INT64_C(1000000000) /* nanoseconds */

struct gate_waiter {
    struct list link;
    struct coro *coro;
};

void gate_init(struct gate *gate, size_t max, int64_t queue_timeout, const char *title)
{
    *gate = (struct gate){.max = max, .queue_timeout = queue_timeout, .title = title};
    list_init(&gate->queue);
}

static void log_full_gate(const struct gate *gate)
{
    static int64_t last;

    if (wait_now() - last < LOG_INTERVAL)
        return;
    last = wait_now();
    log_warn("[%s]: 503: queue-timeout exceeded while max-concurrency, %zu requests, were running", gate->title,
             gate->max);
}

/* Wait for a place. Returns 0 if there is one. */
static int gate_queue(struct gate *gate)
{
    int64_t timeout = gate->queue_timeout;
    struct gate_waiter w = {.coro = coro_self()};
    bool told;
    int err;

    list_push(&gate->queue, &w.link);
    told = reason_begin(FOR_PLACE, -1, NULL);
    err = wait_park(timeout ? wait_deadline(timeout * 1000000) : WAIT_FOREVER);
    reason_end(told);
    list_remove(&w.link);
    if (err == -ETIMEDOUT)
        log_full_gate(gate);
    return err;
}

int gate_enter(struct gate *gate, struct permit *permit)
{
    int err, permit_err;

    if (gate->running < gate->max) {
        gate->running++;
        return 0;
    }
    permit_release(permit);
    err = gate_queue(gate);
    permit_err = permit_await(permit);
    if (!err && permit_err)
        gate_leave(gate);
    return err ? err : permit_err;
}

void gate_leave(struct gate *gate)
{
    struct list *first;

    while ((first = list_pop(&gate->queue)))
        if (coro_wake(list_entry(first, struct gate_waiter, link)->coro, 0))
            return;
    gate->running--;
}
