/*
 * away.c: coroutines that compute upon threads of the pool, while the loop goes on.
 *
 * The stack of such a coroutine goes on upon a thread of libuv's pool, until it returns to the loop's thread
 * (coro_depart in coro.c). Computing may take for ever. So that disks and names need not wait for it, a quarter of the
 * pool is kept from it. Who finds all places taken waits for one: first come, first served.
 *
 * The threads have a signal stack for reports of crashes, since a coroutine may use up its stack there too, and get no
 * signals: those are for the application's own threads.
 */
#include "wait/wait.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/real.h"
#include "wait/loop.h"

#define SIGNAL_STACK (64 * 1024) /* bytes */

struct trip {
    uv_work_t uv; /* first: libuv's callbacks get a pointer to it */
    struct coro *co;
};

/* A coroutine that waits for a place; on its stack. */
struct place_wait {
    struct list link;
    struct coro *co;
};

static unsigned away_count;
static struct list place_waits = LIST_INIT(place_waits);

/* libuv would wait for the threads of its pool, but as with daemon threads nobody waits for who is away. Called after
 * all other functions that exit calls, but those of libraries. */
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
    sigset_t all;
    void *stack;

    if (prepared)
        return;
    prepared = true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    stack = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack != MAP_FAILED) /* else a stack overflow is not reported */
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = SIGNAL_STACK}, NULL);
}

static void trip_run(uv_work_t *uv)
{
    thread_prepare();
    coro_host(((struct trip *)uv)->co);
}

/* ---- on the loop's ---- */

static void trip_done(uv_work_t *uv, int status)
{
    struct list *next = list_pop(&place_waits);

    coro_wake(((struct trip *)uv)->co, 0);
    free(uv);
    if (next) /* it has the place */
        coro_wake(list_entry(next, struct place_wait, link)->co, 0);
    else
        away_count--;
}

static void trip_begin(struct coro *co)
{
    struct trip *trip = xcalloc(1, sizeof(*trip));

    trip->co = co;
    work_queue(&trip->uv, trip_run, trip_done);
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

    if (!co || co->tls.of_thread || co->is_main || !wait_revive())
        return false;
    take_place();
    coro_depart(trip_begin);
    return true;
}

void wait_return(void)
{
    coro_return();
}
