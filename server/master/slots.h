/* slots.h: the places of workers: who serves there, who is to take over, and when a start may be tried. */
#ifndef MASTER_SLOTS_H
#define MASTER_SLOTS_H

#include "master/workers.h"

struct slot {
    struct worker *now, *next; /* borrowed; NULL: none; next only while there is a now */
    int64_t delay;             /* nanoseconds before the start after the next one */
    int64_t due;               /* CLOCK_MONOTONIC nanoseconds when a worker may be started here */
};

struct slots {
    struct slot *list; /* owned; moves when more are wanted */
    size_t count;      /* there are */
    size_t wanted;     /* of these, from the first one on, shall have a worker */
};

/* From now on so many are wanted. What is beyond keeps its workers until they are vacated. */
void slots_want(struct slots *slots, size_t wanted);

/* The slot that a worker is in, or NULL. */
struct slot *slots_find(const struct slots *slots, const struct worker *w);

/* Take a worker out of its slot, if it is in one; the next one moves up. */
void slots_vacate(struct slots *slots, const struct worker *w);

/* Whether each that is wanted has a worker of this generation that serves, and the others have none. */
bool slots_are_steady(const struct slots *slots, const struct generation *g);

/* When the next start that was put off is due; WAIT_FOREVER: there is none. */
int64_t slots_next_start(const struct slots *slots, int64_t now);

/* Put a worker that was started into the slot, behind the one that is there. */
void slot_put(struct slot *slot, struct worker *w);

/* Whether a worker of this generation is to be started there now. */
bool slot_needs_worker(const struct slot *slot, const struct generation *g, int64_t now);

/* The worker that was in it has died: put the next start off, if it died young. */
void slot_plan_restart(struct slot *slot, const struct worker *w);

#endif
