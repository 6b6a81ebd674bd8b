/* admission.h: permits to run a request. At most max are held at once; further requests queue for one, in order. */
#ifndef HTTP_ADMISSION_H
#define HTTP_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "wait/wait.h"

struct permit {
    struct list link;            /* in the queue */
    struct wait_timeout timeout; /* of the time in the queue */
    struct coro *coro;           /* the coroutine that waits; NULL: one is started when the permit is granted */
    bool exempt;                 /* its requests run without one for now: it counts as held, but not as one of max */
    bool abandoned;              /* exempt because its client has gone */
    bool away;                   /* given back for a while, by permit_release */
};

struct admission_config {
    size_t max;            /* permits held at once */
    int64_t queue_timeout; /* milliseconds in the queue; 0: no limit */

    /* Start a coroutine that holds this permit; now: run it at once. Returns false if there can be no coroutine now. */
    bool (*start)(struct permit *permit, bool now);

    /* This permit was in the queue for longer than queue_timeout, without a coroutine. It is not held. */
    void (*reject)(struct permit *permit);
};

/* Call this before the functions below. config is copied. */
void admission_init(const struct admission_config *config);

/* In a forked child: nobody holds a permit or queues for one. */
void admission_forget(void);

/* Call this for each permit once. */
void permit_init(struct permit *permit);

/* On the loop's stack: ask for a permit. start or reject is called, now or later. */
void permit_request(struct permit *permit);

/* How many requests queue for a permit. */
size_t admission_queued(void);

/* Whether the first in the queue has waited there for more than half of queue_timeout. */
bool admission_is_late(void);

/* Whether all permits are held. */
bool admission_is_full(void);

/* On the loop's stack: have start called now, exempt. Returns false if there can be no coroutine now. */
bool permit_start_exempt(struct permit *permit);

/* On a coroutine that holds it: it is exempt from now on; and no longer, which returns as permit_await. */
void permit_exempt(struct permit *permit);
int permit_resume(struct permit *permit);

/* The client of a request that holds it has gone: it is exempt from now on, and others may be granted it, as long as
 * that are no more than max requests. */
void permit_abandon(struct permit *permit);

/* The requests of a permit that is exempt have ended. */
void permit_settle(struct permit *permit);

/* On a coroutine: wait for a permit. Returns 0, or -ETIMEDOUT; in both cases the caller now holds it (it needs one to
 * send the 503). */
int permit_await(struct permit *permit);

/* On a coroutine that holds a permit: let those in the queue go first. Returns as permit_await. */
int permit_yield(struct permit *permit);

/* Give a permit back, until permit_await: those in the queue may be granted it. */
void permit_release(struct permit *permit);

/* Give a permit, which is not exempt, back at the end of a coroutine. If the first in the queue has no coroutine it is
 * granted the permit and returned, and this coroutine must serve it: there may be no memory for another stack. Else
 * returns NULL. */
struct permit *permit_next(void);

#endif
