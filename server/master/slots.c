/*
 * slots.c: the places of workers: who serves there, who is to take over, and when a start may be tried.
 *
 * The n-th slot is for the worker of number n. A worker that dies is replaced at once, if it lived for a while; for one
 * that died young the delay doubles each time, so that what crashes at its first request does not keep the machine busy
 * with starts.
 */
#include "master/slots.h"

#include "base/mem.h"
#include "log/log.h"
#include "wait/wait.h"

#define SECOND      INT64_C(1000000000)
#define FIRST_DELAY (SECOND / 10)
#define LAST_DELAY  (10 * SECOND)
#define YOUNG       (5 * SECOND) /* a worker that dies before this age is started again with a delay */

void slots_want(struct slots *slots, size_t wanted)
{
    slots->wanted = wanted;
    if (wanted <= slots->count)
        return;
    slots->list = xrealloc(slots->list, wanted * sizeof(*slots->list));
    while (slots->count < wanted)
        slots->list[slots->count++] = (struct slot){0};
}

struct slot *slots_find(const struct slots *slots, const struct worker *w)
{
    for (size_t i = 0; i < slots->count; i++)
        if (slots->list[i].now == w || slots->list[i].next == w)
            return &slots->list[i];
    return NULL;
}

void slots_vacate(struct slots *slots, const struct worker *w)
{
    struct slot *slot = slots_find(slots, w);

    if (!slot)
        return;
    if (slot->now == w)
        slot->now = slot->next;
    slot->next = NULL;
}

bool slots_are_steady(const struct slots *slots, const struct generation *g)
{
    for (size_t i = 0; i < slots->count; i++) {
        const struct slot *slot = &slots->list[i];
        const struct worker *w = slot->now;

        if (i >= slots->wanted ? w != NULL : !w || w->state != SERVING || slot->next || w->generation != g)
            return false;
    }
    return true;
}

int64_t slots_next_start(const struct slots *slots, int64_t now)
{
    int64_t next = WAIT_FOREVER;

    for (size_t i = 0; i < slots->wanted; i++)
        if (slots->list[i].due > now && slots->list[i].due < next)
            next = slots->list[i].due;
    return next;
}

void slot_put(struct slot *slot, struct worker *w)
{
    if (slot->now)
        slot->next = w;
    else
        slot->now = w;
}

bool slot_needs_worker(const struct slot *slot, const struct generation *g, int64_t now)
{
    const struct worker *w = slot->now;

    if (slot->next || slot->due > now)
        return false;
    return !w || w->generation != g || (w->state == SERVING && w->replace);
}

void slot_plan_restart(struct slot *slot, const struct worker *w)
{
    int64_t now = wait_now();

    if (now - w->born > YOUNG)
        slot->delay = 0;
    slot->due = now + slot->delay;
    if (slot->delay)
        log_info("worker %d is started again in %lld ms", w->number, (long long)(slot->delay / 1000000));
    slot->delay = slot->delay ? 2 * slot->delay : FIRST_DELAY;
    if (slot->delay > LAST_DELAY)
        slot->delay = LAST_DELAY;
}
