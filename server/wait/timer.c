/*
 * timer.c: parking with a deadline.
 *
 * A uv_timer_t can be freed only by a callback of the loop, so it cannot live on the waiting coroutine's stack. Timers
 * are kept in a free list instead and never closed while the loop lives: a wait takes one, starts it and puts it back.
 */
#include "wait/wait.h"

#include <errno.h>
#include <stdlib.h>

#include "arena.h"
#include "wait/loop.h"

struct timer {
    uv_timer_t uv; /* first: loop.c frees the handle at the end */
    struct coro *co;
    struct timer *next;
};

static struct timer *free_timers;
static uint64_t waits;

static struct timer *timer_get(void)
{
    struct timer *timer = free_timers;

    if (timer) {
        free_timers = timer->next;
        return timer;
    }
    timer = xmalloc(sizeof(*timer));
    uv_timer_init(loop_uv(), &timer->uv);
    return timer;
}

static void timer_put(struct timer *timer)
{
    timer->next = free_timers;
    free_timers = timer;
}

void timer_exit(void)
{
    free_timers = NULL; /* the handles are closed, and so freed, with all others */
}

static void on_timer(uv_timer_t *uv)
{
    coro_wake(((struct timer *)uv)->co, -ETIMEDOUT);
}

static int park_until(int64_t deadline)
{
    struct timer *timer = timer_get();
    uint64_t due = (uint64_t)(deadline > 0 ? (deadline + 999999) / 1000000 : 0);
    uint64_t now = uv_now(timer->uv.loop);
    int result;

    timer->co = coro_self();
    uv_timer_start(&timer->uv, on_timer, due > now ? due - now : 0, 0);
    result = coro_park();
    uv_timer_stop(&timer->uv);
    timer_put(timer);
    return result;
}

/* The wait of a coroutine on which wait_break was called before or meanwhile. */
static int broken(struct coro *co)
{
    int result = co->broken;

    co->broken = 0;
    co->poses = result == -EINTR;
    return result;
}

int wait_park(int64_t deadline)
{
    struct coro *co = coro_self();
    int result = co->is_main ? wait_interrupt_take() : 0;

    co->poses = false;
    if (result)
        return result;
    waits++;
    if (!co->broken) {
        co->cancellable = true;
        result = deadline == WAIT_FOREVER ? coro_park() : park_until(deadline);
        co->cancellable = false;
    }
    return co->broken ? broken(co) : result;
}

int wait_sleep(int64_t deadline)
{
    int result = wait_park(deadline);

    return result == -ETIMEDOUT ? 0 : result;
}

bool wait_cancel(struct coro *co, int code)
{
    return co->cancellable && coro_wake(co, code);
}

uint64_t wait_count(void)
{
    return waits;
}

void wait_break(struct coro *co, int code)
{
    co->broken = code;
    if (code)
        wait_cancel(co, code);
}
