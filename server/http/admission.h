/* admission.h: turns: at most so many at once, the others wait for theirs, first come, first served. */
#ifndef HTTP_TURN_H
#define HTTP_TURN_H

#include <stdbool.h>
#include <stddef.h>

#include "wait/wait.h"

struct turn {
    struct list link;            /* among those that wait */
    struct wait_timeout timeout; /* of that wait */
    struct coro *coro;           /* who waits; NULL: a coroutine is to be started for it */
};

struct turn_config {
    size_t max;       /* turns at once */
    int64_t patience; /* milliseconds that one waits for its turn; 0: for ever */

    /* Start a coroutine that has this turn; now: it runs at once. False: there can be none now. */
    bool (*start)(struct turn *turn, bool now);

    /* It has waited for too long, without a coroutine. */
    void (*turn_away)(struct turn *turn);
};

/* Before any other. config is copied. */
void turn_init(const struct turn_config *config);

/* To be called for a turn once. */
void turn_new(struct turn *turn);

/* On the loop's stack: start is called now or later, or turn_away. */
void turn_ask(struct turn *turn);

/* On a coroutine: wait for a turn. 0, or -ETIMEDOUT; then it has one all the same, to say so. */
int turn_await(struct turn *turn);

/* On a coroutine that has a turn: let others have it, and wait to have it again. As turn_await. */
int turn_pass(struct turn *turn);

/* A turn is over; there may be work for the others. */
void turn_give_back(void);

/* The same at the end of a coroutine. Returns a turn which this coroutine is to take in its place, because there could
 * be no new one; else NULL. */
struct turn *turn_end(void);

#endif
