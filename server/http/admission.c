/*
 * admission.c: turns.
 *
 * A turn is what lets a coroutine use memory and the CPU for a request. Who asks for one while all are taken is queued,
 * as a connection without a coroutine (which costs nothing) or as a coroutine that has passed its turn on for a while.
 * The wait is bounded: better a quick 503 than an answer when nobody listens any more.
 */
#include "http/admission.h"

#include <errno.h>

#define RETRY_EVERY 1000 /* milliseconds: there may be stacks again for those that could get none */

static struct {
    struct turn_config config;
    struct list waiting;
    struct wait_timeouts timeouts;
    size_t active;
} turns;

/* Who waits longest, or NULL. */
static struct turn *first_waiting(void)
{
    return list_empty(&turns.waiting) ? NULL : list_entry(turns.waiting.next, struct turn, link);
}

static void leave_queue(struct turn *turn)
{
    list_remove(&turn->link);
    wait_timeout_stop(&turn->timeout);
}

static void enter_queue(struct turn *turn, struct coro *co)
{
    turn->coro = co;
    list_push(&turns.waiting, &turn->link);
    wait_timeout_start(&turns.timeouts, &turn->timeout);
}

/* Give a turn to one that waits: to its coroutine, or a new one. False, and it goes on waiting, without a stack. */
static bool give(struct turn *turn)
{
    if (turn->coro)
        coro_wake(turn->coro, 0);
    else if (!turns.config.start(turn, false))
        return false;
    leave_queue(turn);
    return true;
}

static void give_all(void)
{
    struct turn *next;

    while (turns.active < turns.config.max && (next = first_waiting()) && give(next))
        turns.active++;
}

static void on_timeout(struct wait_timeout *timeout)
{
    struct turn *turn = list_entry(timeout, struct turn, timeout);

    list_remove(&turn->link);
    if (!turn->coro) {
        turns.config.turn_away(turn);
        return;
    }
    turns.active++;
    coro_wake(turn->coro, -ETIMEDOUT);
}

void turn_init(const struct turn_config *config)
{
    turns.config = *config;
    turns.active = 0;
    list_init(&turns.waiting);
    wait_timeouts_init(&turns.timeouts, config->patience, on_timeout);
    wait_every(RETRY_EVERY, give_all);
}

void turn_new(struct turn *turn)
{
    list_init(&turn->link);
    list_init(&turn->timeout.link);
}

void turn_ask(struct turn *turn)
{
    if (turns.active < turns.config.max && !first_waiting()) {
        turns.active++;
        if (turns.config.start(turn, true))
            return;
        turns.active--;
    }
    enter_queue(turn, NULL);
    give_all();
}

int turn_await(struct turn *turn)
{
    if (turns.active < turns.config.max && !first_waiting()) {
        turns.active++;
        return 0;
    }
    enter_queue(turn, coro_self());
    return coro_park();
}

int turn_pass(struct turn *turn)
{
    struct turn *next;

    if (!first_waiting())
        coro_yield(); /* meanwhile somebody may come to wait */
    next = first_waiting();
    if (!next)
        return 0;
    if (!give(next)) {
        coro_yield();
        return 0;
    }
    enter_queue(turn, coro_self());
    return coro_park();
}

void turn_give_back(void)
{
    turns.active--;
    give_all();
}

struct turn *turn_end(void)
{
    struct turn *next = first_waiting();

    if (next && !next->coro && turns.active <= turns.config.max) {
        leave_queue(next);
        return next;
    }
    turn_give_back();
    return NULL;
}
