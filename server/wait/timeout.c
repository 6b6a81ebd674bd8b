/*
 * timeout.c: time-outs by the thousand that hardly ever run out.
 *
 * Each connection has one, and starts and stops it with each request. Those of one length are kept in a list: the
 * newest is due last, so starting one is putting it at the end, and stopping it is taking it out. The only timer is set
 * for the first of all that are due, and does not move when that one is stopped: it then finds out too early that it
 * has nothing to do, and is set for the next.
 */
#include "wait/wait.h"

#include <stdlib.h>

#include "base/mem.h"
#include "wait/loop.h"

static struct {
    struct wait_timeouts *first;
    uv_timer_t *timer; /* freed with all handles of the loop */
    int64_t armed;     /* when it is set for; INT64_MAX: it is not */
} timeouts;

static void on_timer(uv_timer_t *timer);

static void arm(int64_t due)
{
    int64_t left = due - wait_time();

    timeouts.armed = due;
    uv_timer_start(timeouts.timer, on_timer, left > 0 ? (uint64_t)left : 0, 0);
}

static struct wait_timeout *first_of(const struct wait_timeouts *list)
{
    return list_empty(&list->list) ? NULL : list_entry(list->list.next, struct wait_timeout, link);
}

/* Call those of a list that are due. */
static void run(struct wait_timeouts *list)
{
    struct wait_timeout *first;

    while ((first = first_of(list)) && first->due <= wait_time()) {
        list_remove(&first->link);
        list->fn(first);
    }
}

static void on_timer(uv_timer_t *timer)
{
    int64_t next = INT64_MAX;

    timeouts.armed = 0; /* nobody arms it meanwhile */
    for (struct wait_timeouts *list = timeouts.first; list; list = list->next)
        run(list);
    for (struct wait_timeouts *list = timeouts.first; list; list = list->next) {
        const struct wait_timeout *first = first_of(list);

        if (first && first->due < next)
            next = first->due;
    }
    timeouts.armed = INT64_MAX;
    if (next != INT64_MAX)
        arm(next);
}

void timeout_init(void)
{
    timeouts.first = NULL;
    timeouts.armed = INT64_MAX;
    timeouts.timer = xmalloc(sizeof(*timeouts.timer));
    uv_timer_init(loop_uv(), timeouts.timer);
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
    t->due = list->length ? wait_time() + list->length + 1 : INT64_MAX; /* of the present millisecond a part is over */
    list_push(&list->list, &t->link);
    if (t->due < timeouts.armed)
        arm(t->due);
}
