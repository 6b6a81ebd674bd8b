/*
 * work.c: run a function on a thread while the coroutine waits: one of the pool, or one of its own.
 *
 * This wait cannot be cancelled: the arguments live on the coroutine's stack, and the thread would go on using them.
 *
 * The pool is not libuv's: what libuv's destructor does at exit() (join the threads, destroy their condition) is
 * undefined in a child that was forked without them, and crashed or hung there. A thread is started when work is queued
 * and none is idle, since system calls are cheaper in a process with one thread, and stays.
 */
#include "wait/wait.h"

#include <pthread.h>
#include <time.h>

#include "base/array.h"
#include "base/events.h"
#include "base/real.h"
#include "base/thread.h"
#include "log/log.h"
#include "wait/loop.h"
#include "wait/reason.h"

#define WORK_STACK      (512 * 1024) /* bytes */
#define DEFAULT_THREADS 4

static void work_done(void *arg)
{
    coro_wake(((struct work *)arg)->co, 0);
}

/* Returns the CPU time of this thread in nanoseconds; 0 if nobody wants to know. */
static int64_t thread_cpu(void)
{
    struct timespec now;

    if (!coro_clocked)
        return 0;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void work_run(struct work *work)
{
    int64_t before = thread_cpu();

    work->result = work->fn(work->arg);
    work->cpu = thread_cpu() - before;
    wait_post(work->done, work);
}

/* Park until a thread has done the work. What it has taken there was not all waiting. */
static void work_await(struct work *work, enum wait_kind kind, const void *subject)
{
    bool told = reason_begin(kind, -1, subject);
    struct coro_account *account;

    event_count(EVENT_OFFLOADED, 1);
    coro_park();
    account = work->co->account;
    if (account) {
        int64_t *waited = &account->waited[work->co->reason.kind], cpu = min_int64(work->cpu, *waited);

        account->pool += cpu;
        *waited -= cpu;
    }
    reason_end(told);
}

/* ---- the pool ---- */

struct pool {
    pthread_mutex_t lock; /* guards what is below */
    pthread_cond_t queued;
    struct work *first, *last; /* what is queued */
    unsigned length;           /* of this queue */
    unsigned threads, idle, limit;
};

static struct pool pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .queued = PTHREAD_COND_INITIALIZER};

void work_init(unsigned threads)
{
    pool.limit = threads ? threads : DEFAULT_THREADS;
    away_init();
}

void work_forget(void)
{
    pool = (struct pool){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .queued = PTHREAD_COND_INITIALIZER,
        .limit = pool.limit,
    };
}

static struct work *pool_next(void)
{
    struct work *work;

    real()->pthread_mutex_lock(&pool.lock);
    pool.idle++;
    while (!pool.first)
        real()->pthread_cond_wait(&pool.queued, &pool.lock);
    pool.idle--;
    work = pool.first;
    pool.first = work->next;
    pool.length--;
    real()->pthread_mutex_unlock(&pool.lock);
    return work;
}

static void *pool_thread(void *arg)
{
    for (;;)
        work_run(pool_next());
    return NULL;
}

/* With the lock held. Returns whether there is a thread that will do one more work. */
static bool pool_grow(void)
{
    if (pool.length < pool.idle || pool.threads >= pool.limit)
        return true;
    if (thread_start(pool_thread, NULL, WORK_STACK) == 0)
        pool.threads++;
    return pool.threads > 0;
}

bool work_queue(struct work *work)
{
    bool possible;

    real()->pthread_mutex_lock(&pool.lock);
    possible = pool_grow();
    if (possible) {
        if (pool.first)
            pool.last->next = work;
        else
            pool.first = work;
        pool.last = work;
        pool.length++;
        real()->pthread_cond_signal(&pool.queued);
    }
    real()->pthread_mutex_unlock(&pool.lock);
    return possible;
}

bool work_possible(void)
{
    bool possible;

    real()->pthread_mutex_lock(&pool.lock);
    possible = pool.threads > 0 || pool_grow();
    real()->pthread_mutex_unlock(&pool.lock);
    return possible;
}

unsigned work_threads(void)
{
    return pool.limit;
}

int wait_offload_for(enum wait_kind kind, const void *subject, int (*fn)(void *arg), void *arg)
{
    struct work work = {.co = coro_self(), .fn = fn, .arg = arg, .done = work_done};

    if (!work.co || work.co->linking || !wait_revive() || !work_queue(&work))
        return fn(arg);
    work_await(&work, kind, subject);
    return work.result;
}

int wait_offload(int (*fn)(void *arg), void *arg)
{
    return wait_offload_for(FOR_THREAD, NULL, fn, arg);
}

/* ---- a thread of its own ---- */

static void *errand_run(void *arg)
{
    work_run(arg);
    return NULL;
}

int wait_thread_for(enum wait_kind kind, const void *subject, int (*fn)(void *arg), void *arg)
{
    struct work work = {.co = coro_self(), .fn = fn, .arg = arg, .done = work_done};

    if (!work.co || work.co->linking || !wait_revive())
        return fn(arg);
    if (thread_start(errand_run, &work, WORK_STACK) < 0) /* no memory for a thread: the pool has some */
        return wait_offload_for(kind, subject, fn, arg);
    work_await(&work, kind, subject);
    return work.result;
}

int wait_thread(int (*fn)(void *arg), void *arg)
{
    return wait_thread_for(FOR_THREAD, NULL, fn, arg);
}
