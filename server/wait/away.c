/*
 * away.c: coroutines that compute upon threads of the pool, while the loop goes on.
 *
 * The stack of such a coroutine goes on upon a thread of the pool, until it returns to the loop's thread
 * (coro_depart in coro.c). Computing may take for ever. So that disks and names need not wait for it, a quarter of the
 * pool is kept from it. Who finds all places taken waits for one: first come, first served. Nobody waits for anything
 * else but a disk while it has a place: who would, comes home (coro_self). So all places become free in time, whatever
 * those who wait for them hold.
 *
 * The threads have a signal stack for reports of crashes, since a coroutine may use up its stack there too.
 */
#include "wait/wait.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/events.h"
#include "base/mem.h"
#include "base/real.h"
#include "wait/loop.h"

#define SIGNAL_STACK (64 * 1024) /* bytes */

/* A coroutine that waits for a place; on its stack. */
struct place_wait {
    struct list link;
    struct coro *co;
};

static unsigned away_count;
static struct list place_waits = LIST_INIT(place_waits);

/* As with daemon threads nobody waits for who is away, but it must not find that destructors have run. Called after all
 * other functions that exit calls, but those of libraries. */
static void away_exit(int status, void *arg)
{
    if (away_count == 0)
        return;
    real()->fflush(NULL);
    _exit(status);
}

void away_init(void)
{
    static bool registered;

    if (!registered)
        on_exit(away_exit, NULL);
    registered = true;
    away_forget();
}

void away_forget(void)
{
    away_count = 0;
    list_init(&place_waits);
}

static unsigned away_max(void)
{
    unsigned threads = work_threads();

    return threads < 2 ? 1 : threads - (threads + 3) / 4;
}

unsigned wait_away(void)
{
    return away_count;
}

/* ---- on the threads ---- */

/* What a thread needs before the first coroutine comes, for its life. */
static void thread_prepare(void)
{
    static __thread bool prepared __attribute__((tls_model("initial-exec")));
    void *stack;

    if (prepared)
        return;
    prepared = true;
    stack = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack != MAP_FAILED) /* else a stack overflow is not reported */
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = SIGNAL_STACK}, NULL);
}

static int trip_run(void *co)
{
    thread_prepare();
    coro_host(co);
    return 0;
}

/* ---- on the loop's ---- */

static void trip_done(void *work)
{
    struct list *next = list_pop(&place_waits);

    coro_arrive(((struct work *)work)->co);
    free(work);
    if (next) /* it has the place */
        coro_wake(list_entry(next, struct place_wait, link)->co, 0);
    else
        away_count--;
}

static void trip_begin(struct coro *co)
{
    struct work *work = xcalloc(1, sizeof(*work));

    event_count(EVENT_DEPARTED, 1);
    *work = (struct work){.fn = trip_run, .arg = co, .done = trip_done, .co = co};
    work_queue(work);
}

static void take_place(void)
{
    struct place_wait wait = {.co = coro_self()};

    if (away_count < away_max()) {
        away_count++;
        return;
    }
    list_push(&place_waits, &wait.link);
    coro_park();
}

bool wait_depart(void)
{
    struct coro *co = coro_self();

    if (!co || co->tls.of_thread || co->is_main || co->alone || co->linking || !wait_revive() || !work_possible())
        return false;
    take_place();
    coro_depart(trip_begin);
    return true;
}

bool wait_return(void)
{
    if (!coro_guest)
        return false;
    coro_return();
    return true;
}
