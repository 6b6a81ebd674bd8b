/*
 * admission.c: permits to run a request.
 *
 * A permit lets a coroutine use memory and the CPU for a request; at most max-concurrency exist. While all are held a
 * request queues, either as a connection without a coroutine, which costs nothing, or as a coroutine that has given up
 * its permit for a while. The time in the queue is bounded: a quick 503 is better than a response that comes when the
 * client has given up.
 */
#include "http/admission.h"

#include <errno.h>

#include "wait/reason.h"

#define RETRY_INTERVAL 1000 /* milliseconds between two looks whether there is memory for stacks again */

static struct {
    struct admission_config config;
    struct list queue;
    struct wait_timeouts timeouts;
    size_t held, abandoned;
} admission;

static struct permit *queue_first(void)
{
    return list_empty(&admission.queue) ? NULL : list_entry(admission.queue.next, struct permit, link);
}

static void queue_leave(struct permit *permit)
{
    list_remove(&permit->link);
    wait_timeout_stop(&permit->timeout);
}

static void queue_enter(struct permit *permit, struct coro *co)
{
    permit->coro = co;
    list_push(&admission.queue, &permit->link);
    wait_timeout_start(&admission.timeouts, &permit->timeout);
}

/* Wake the coroutine that waits for this permit, or start one. If that fails the permit stays in the queue. */
static bool permit_grant(struct permit *permit)
{
    if (permit->coro)
        coro_wake(permit->coro, 0);
    else if (!admission.config.start(permit, false))
        return false;
    queue_leave(permit);
    return true;
}

static void grant_free_permits(void)
{
    struct permit *next;

    while (admission.held < admission.config.max && (next = queue_first()) && permit_grant(next))
        admission.held++;
}

static void on_queue_timeout(struct wait_timeout *timeout)
{
    struct permit *permit = list_entry(timeout, struct permit, timeout);

    list_remove(&permit->link);
    if (!permit->coro) {
        admission.config.reject(permit);
        return;
    }
    admission.held++;
    coro_wake(permit->coro, -ETIMEDOUT);
}

void admission_init(const struct admission_config *config)
{
    admission.config = *config;
    admission.held = admission.abandoned = 0;
    list_init(&admission.queue);
    wait_timeouts_init(&admission.timeouts, config->queue_timeout, on_queue_timeout);
    wait_every(RETRY_INTERVAL, grant_free_permits);
}

void admission_forget(void)
{
    admission.held = admission.abandoned = 0;
    list_init(&admission.queue);
    wait_every(RETRY_INTERVAL, grant_free_permits);
}

void permit_init(struct permit *permit)
{
    list_init(&permit->link);
    list_init(&permit->timeout.link);
}

void permit_request(struct permit *permit)
{
    if (admission.held < admission.config.max && !queue_first()) {
        admission.held++;
        if (admission.config.start(permit, true))
            return;
        admission.held--;
    }
    queue_enter(permit, NULL);
    grant_free_permits();
}

size_t admission_queued(void)
{
    struct list *node;
    size_t count = 0;

    list_for_each (node, &admission.queue)
        count++;
    return count;
}

bool admission_is_late(void)
{
    const struct permit *first = queue_first();
    int64_t limit = admission.config.queue_timeout;

    return first && limit && first->timeout.due - wait_time() < limit / 2;
}

bool admission_is_full(void)
{
    return admission.held >= admission.config.max || queue_first();
}

bool permit_start_exempt(struct permit *permit)
{
    permit->exempt = true;
    if (!admission.config.start(permit, true))
        return permit->exempt = false;
    return true;
}

/* Wait for the permit, in the queue, on a coroutine. */
static int permit_park(struct permit *permit)
{
    bool told = reason_begin(FOR_PLACE, -1, NULL);
    int err;

    queue_enter(permit, coro_self());
    err = coro_park();
    reason_end(told);
    return err;
}

int permit_await(struct permit *permit)
{
    int err = 0;

    if (permit->exempt)
        return 0;
    if (admission.held < admission.config.max && !queue_first()) {
        admission.held++;
    } else {
        err = permit_park(permit);
    }
    permit->away = false;
    return err;
}

int permit_yield(struct permit *permit)
{
    struct permit *next;

    if (permit->exempt || !queue_first())
        coro_yield(); /* a request may come meanwhile, and queue */
    next = permit->exempt ? NULL : queue_first();
    if (!next)
        return 0;
    if (!permit_grant(next)) {
        coro_yield();
        return 0;
    }
    return permit_park(permit);
}

static void give_back(void)
{
    admission.held--;
    grant_free_permits();
}

void permit_release(struct permit *permit)
{
    if (permit->exempt)
        return;
    permit->away = true;
    give_back();
}

void permit_exempt(struct permit *permit)
{
    if (!permit->exempt)
        give_back();
    permit->exempt = true;
}

void permit_abandon(struct permit *permit)
{
    if (permit->exempt || permit->away || admission.abandoned >= admission.config.max)
        return;
    admission.abandoned++;
    permit->abandoned = true;
    permit_exempt(permit);
}

void permit_settle(struct permit *permit)
{
    admission.abandoned -= permit->abandoned;
    permit->exempt = permit->abandoned = false;
}

int permit_resume(struct permit *permit)
{
    if (!permit->exempt || permit->abandoned)
        return 0;
    permit->exempt = false;
    permit->away = true;
    return permit_await(permit);
}

struct permit *permit_next(void)
{
    struct permit *next = queue_first();

    if (next && !next->coro && admission.held <= admission.config.max) {
        queue_leave(next);
        return next;
    }
    give_back();
    return NULL;
}
