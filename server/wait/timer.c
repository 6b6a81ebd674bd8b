/*
 * timer.c: parking with a deadline.
 *
 * Deadlines are in nanoseconds, as in the calls that wait, so that a sleep of 200 microseconds takes no longer; libuv's
 * timers count milliseconds, and round up. A timer is on the stack of the coroutine that waits; this file has a binary
 * heap of pointers to them, the earliest first. The loop sleeps until the earliest (timer_first), and after it has
 * looked for events it wakes the coroutines whose timers are due (timer_run).
 */
#include "wait/wait.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wait/block.h"
#include "wait/loop.h"
#include "wait/reason.h"

#define TIMER_OUT INT64_MIN /* no longer in the heap */

struct timer {
    int64_t due; /* CLOCK_MONOTONIC nanoseconds */
    struct coro *co;
    size_t at; /* its index in the heap */
};

static struct {
    struct timer **timers; /* each is due no earlier than the one at (its index - 1) / 2 */
    size_t count, capacity;
} heap;

static uint64_t waits; /* since the process began */

/* ---- the heap ---- */

static void heap_put(struct timer *timer, size_t at)
{
    heap.timers[at] = timer;
    timer->at = at;
}

/* Put a timer at an index or above it; those above that are due later move down. */
static void heap_sift_up(struct timer *timer, size_t at)
{
    while (at > 0 && heap.timers[(at - 1) / 2]->due > timer->due) {
        heap_put(heap.timers[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    heap_put(timer, at);
}

/* Put a timer at an index or below it; those below that are due earlier move up. */
static void heap_sift_down(struct timer *timer, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < heap.count && heap.timers[child + 1]->due < heap.timers[child]->due)
            child++;
        if (child >= heap.count || heap.timers[child]->due >= timer->due)
            break;
        heap_put(heap.timers[child], at);
        at = child;
    }
    heap_put(timer, at);
}

static void heap_add(struct timer *timer)
{
    if (heap.count == heap.capacity) {
        heap.capacity = heap.capacity ? 2 * heap.capacity : 64;
        heap.timers = xrealloc(heap.timers, heap.capacity * sizeof(struct timer *));
    }
    heap_sift_up(timer, heap.count++);
}

static void heap_remove(const struct timer *timer)
{
    struct timer *last = heap.timers[--heap.count];

    if (last == timer)
        return;
    if (last->due < timer->due)
        heap_sift_up(last, timer->at);
    else
        heap_sift_down(last, timer->at);
}

/* ---- for the loop ---- */

int64_t timer_first(void)
{
    return heap.count > 0 ? heap.timers[0]->due : WAIT_FOREVER;
}

void timer_run(void)
{
    int64_t now = heap.count > 0 ? wait_now() : 0;

    while (heap.count > 0 && heap.timers[0]->due <= now) {
        struct timer *timer = heap.timers[0];

        heap_remove(timer);
        timer->due = TIMER_OUT;
        coro_wake(timer->co, -ETIMEDOUT);
    }
}

void timer_forget(void)
{
    heap.count = 0;
}

void timer_exit(void)
{
    free(heap.timers);
    heap.timers = NULL;
    heap.capacity = 0;
}

/* ---- parking ---- */

static int timer_park_until(int64_t deadline)
{
    struct timer timer = {.due = deadline, .co = coro_self()};
    int result;

    heap_add(&timer);
    result = coro_park();
    if (timer.due != TIMER_OUT)
        heap_remove(&timer);
    return result;
}

int timer_park(int64_t deadline)
{
    waits++;
    return deadline == WAIT_FOREVER ? coro_park() : timer_park_until(deadline);
}

int wait_sleep(int64_t deadline)
{
    bool told = reason_begin(FOR_SLEEP, -1, NULL);
    int result = coro_self()->linking ? block_fds(NULL, 0, deadline) : wait_park(deadline);

    reason_end(told);
    return result == -ETIMEDOUT ? 0 : result;
}

uint64_t wait_count(void)
{
    return waits;
}
