/*
 * timeout.c: thousands of timeouts that hardly ever expire.
 *
 * Each connection has one, and starts and stops it with each request. Timeouts of one length are kept in a list in the
 * order in which they are due: starting one appends it, stopping it unlinks it. There is one timer for all lists, set
 * for the earliest. It stays as it is when that timeout is stopped: it then fires too early, finds nothing to do, and
 * is set for the next.
 */
#include "wait/wait.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/mem.h"
#include "wait/loop.h"

static struct {
    struct wait_timeouts *first;
    uv_timer_t *timer; /* allocated, since wait_exit frees all timers of the loop */
    int64_t armed;     /* wait_time() at which it fires; INT64_MAX: not set; 0: timeouts_expire is running */
} timeouts;

static void timeouts_expire(uv_timer_t *timer);

static void timeouts_arm(int64_t due)
{
    int64_t left = due - wait_time();

    timeouts.armed = due;
    libuv.uv_timer_start(timeouts.timer, timeouts_expire, left > 0 ? (uint64_t)left : 0, 0);
}

static struct wait_timeout *timeouts_first(const struct wait_timeouts *list)
{
    return list_empty(&list->list) ? NULL : list_entry(list->list.next, struct wait_timeout, link);
}

/* Call fn for each timeout of a list that is due. */
static void timeouts_run(struct wait_timeouts *list)
{
    struct wait_timeout *first;

    while ((first = timeouts_first(list)) && first->due <= wait_time()) {
        list_remove(&first->link);
        list->fn(first);
    }
}

static void timeouts_expire(uv_timer_t *timer)
{
    int64_t next = INT64_MAX;

    timeouts.armed = 0; /* so that wait_timeout_start does not set the timer meanwhile */
    for (struct wait_timeouts *list = timeouts.first; list; list = list->next)
        timeouts_run(list);
    for (struct wait_timeouts *list = timeouts.first; list; list = list->next) {
        const struct wait_timeout *first = timeouts_first(list);

        if (first)
            next = min_int64(next, first->due);
    }
    timeouts.armed = INT64_MAX;
    if (next != INT64_MAX)
        timeouts_arm(next);
}

/* In a forked child there are lists, whose timeouts are the parent's. */
void timeout_init(void)
{
    for (struct wait_timeouts *list = timeouts.first; list; list = list->next)
        list_init(&list->list);
    timeouts.armed = INT64_MAX;
    timeouts.timer = xmalloc(sizeof(*timeouts.timer));
    libuv.uv_timer_init(loop_uv(), timeouts.timer);
}

void timeout_exit(void)
{
    timeouts.first = NULL;
}

void wait_timeouts_init(struct wait_timeouts *list, int64_t milliseconds, void (*fn)(struct wait_timeout *t))
{
    *list = (struct wait_timeouts){.length = milliseconds, .fn = fn, .next = timeouts.first};
    list_init(&list->list);
    timeouts.first = list;
}

void wait_timeout_start(struct wait_timeouts *list, struct wait_timeout *t)
{
    list_remove(&t->link);
    wait_timeout_start_new(list, t);
}

void wait_timeout_start_new(struct wait_timeouts *list, struct wait_timeout *t)
{
    t->due = list->length ? wait_time() + list->length + 1 : INT64_MAX; /* + 1: wait_time() is rounded down */
    list_push(&list->list, &t->link);
    if (t->due < timeouts.armed)
        timeouts_arm(t->due);
}

void wait_timeout_start_at(struct wait_timeouts *list, struct wait_timeout *t, int64_t due)
{
    struct list *after = &list->list; /* t goes before it */

    list_remove(&t->link);
    t->due = due;
    while (after->prev != &list->list && list_entry(after->prev, struct wait_timeout, link)->due > due)
        after = after->prev;
    list_push(after, &t->link);
    if (due < timeouts.armed)
        timeouts_arm(due);
}
