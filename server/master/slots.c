/*
 * slots.c: the slots of workers: who serves there, who replaces it, and when a worker may be started.
 *
 * The n-th slot is for the worker of number n. A worker that dies is replaced at once if it has lived for a while.
 * After one that died young the delay doubles each time, so that an application that crashes at its first request does
 * not keep the machine busy with starts.
 */
#include "master/slots.h"

#include "base/array.h"
#include "base/mem.h"
#include "log/log.h"
#include "wait/wait.h"

#define SECOND      INT64_C(1000000000)
#define FIRST_DELAY (SECOND / 10)
#define MAX_DELAY   (10 * SECOND)
#define YOUNG       (5 * SECOND) /* a worker that dies before this age is restarted with a delay */

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
        if (slots->list[i].current == w || slots->list[i].next == w)
            return &slots->list[i];
    return NULL;
}

void slots_vacate(struct slots *slots, const struct worker *w)
{
    struct slot *slot = slots_find(slots, w);

    if (!slot)
        return;
    if (slot->current == w)
        slot->current = slot->next;
    slot->next = NULL;
}

bool slots_are_steady(const struct slots *slots, const struct generation *g)
{
    for (size_t i = 0; i < slots->count; i++) {
        const struct slot *slot = &slots->list[i];
        const struct worker *w = slot->current;

        if (i >= slots->wanted ? w != NULL : !w || w->state != WORKER_SERVING || slot->next || w->generation != g)
            return false;
    }
    return true;
}

int64_t slots_next_start(const struct slots *slots, int64_t now)
{
    int64_t next = WAIT_FOREVER;

    for (size_t i = 0; i < slots->wanted; i++)
        if (slots->list[i].due > now)
            next = min_int64(next, slots->list[i].due);
    return next;
}

void slot_put(struct slot *slot, struct worker *w)
{
    if (slot->current)
        slot->next = w;
    else
        slot->current = w;
}

bool slot_needs_worker(const struct slot *slot, const struct generation *g, int64_t now)
{
    const struct worker *w = slot->current;

    if (slot->next || slot->due > now)
        return false;
    return !w || w->generation != g || (w->state == WORKER_SERVING && w->replace);
}

void slot_plan_restart(struct slot *slot, const struct worker *w)
{
    int64_t now = wait_now();

    if (now - w->born > YOUNG)
        slot->delay = 0;
    slot->due = now + slot->delay;
    if (slot->delay)
        log_info("restarting worker %d in %lld ms", w->number, (long long)(slot->delay / 1000000));
    slot->delay = slot->delay ? min_int64(2 * slot->delay, MAX_DELAY) : FIRST_DELAY;
}
