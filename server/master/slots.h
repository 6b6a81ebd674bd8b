/* slots.h: the slots of workers: who serves there, who replaces it, and when a worker may be started. */
#ifndef MASTER_SLOTS_H
#define MASTER_SLOTS_H

#include "master/workers.h"

struct slot {
    struct worker *current; /* borrowed; NULL: none */
    struct worker *next;    /* borrowed; starts to replace current; NULL: none */
    int64_t delay;          /* nanoseconds before the start after the next one */
    int64_t due;            /* CLOCK_MONOTONIC nanoseconds from which a worker may be started here */
};

struct slots {
    struct slot *list; /* owned; moves when more are wanted */
    size_t count;      /* of the list */
    size_t wanted;     /* of these, the first ones, that are to have a worker */
};

/* Change how many are wanted. Slots beyond keep their workers until they are vacated. */
void slots_want(struct slots *slots, size_t wanted);

/* Returns the slot that the worker is in, or NULL. */
struct slot *slots_find(const struct slots *slots, const struct worker *w);

/* Take the worker out of its slot, if it is in one; the next one becomes the current one. */
void slots_vacate(struct slots *slots, const struct worker *w);

/* Whether each slot that is wanted has one worker, which serves and is of this generation, and the others have none. */
bool slots_are_steady(const struct slots *slots, const struct generation *g);

/* Returns when the next start that was delayed is due, or WAIT_FOREVER. */
int64_t slots_next_start(const struct slots *slots, int64_t now);

/* Put a new worker into the slot: as the next one, if it has a current one. */
void slot_put(struct slot *slot, struct worker *w);

/* Whether a worker of this generation is to be started there now. */
bool slot_needs_worker(const struct slot *slot, const struct generation *g, int64_t now);

/* The worker that was in it has died: delay the next start if it died young. */
void slot_plan_restart(struct slot *slot, const struct worker *w);

#endif
