/*
 * work.c: run a function on a thread while the coroutine waits: one of libuv's pool, or one of its own.
 *
 * This wait cannot be cancelled: the arguments live on the coroutine's stack, and the thread would go on using them.
 *
 * libuv makes the pool when the first work is queued (which is why wait_init does not: system calls are cheaper in a
 * process with one thread) and takes its size from the environment. Programs that the application starts would inherit
 * that variable, so it is set during this one call only.
 */
#include "wait/wait.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "log/log.h"
#include "wait/loop.h"

#define SIZE_VARIABLE "UV_THREADPOOL_SIZE"

struct work {
    uv_work_t uv; /* first: libuv's callbacks get a pointer to it */
    struct coro *co;
    int (*fn)(void *arg);
    void *arg;
    int result;
};

static unsigned pool_size; /* threads; 0: libuv's default */
static bool pool_made;

void work_init(unsigned threads)
{
    pool_size = threads;
}

void work_forget(void)
{
    pool_made = false;
}

static void work_run(uv_work_t *uv)
{
    struct work *work = (struct work *)uv;

    work->result = work->fn(work->arg);
}

static void work_done(uv_work_t *uv, int status)
{
    coro_wake(((struct work *)uv)->co, 0);
}

/* Queue the first work, for which libuv makes a pool of pool_size threads. */
static int work_queue_sized(uv_work_t *uv)
{
    const char *found = getenv(SIZE_VARIABLE);
    char *saved = found ? xstrdup(found) : NULL, number[16];
    int err;

    snprintf(number, sizeof(number), "%u", pool_size);
    setenv(SIZE_VARIABLE, number, 1);
    err = libuv.uv_queue_work(loop_uv(), uv, work_run, work_done);
    if (saved)
        setenv(SIZE_VARIABLE, saved, 1);
    else
        unsetenv(SIZE_VARIABLE);
    free(saved);
    return err;
}

/* The threads of the pool get no signals, which sigwait in a coroutine may wait for. */
static int work_queue_first(uv_work_t *uv)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pool_size > 0 ? work_queue_sized(uv) : libuv.uv_queue_work(loop_uv(), uv, work_run, work_done);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pool_made = true;
    return err;
}

int wait_offload(int (*fn)(void *arg), void *arg)
{
    struct work work = {.co = coro_self(), .fn = fn, .arg = arg};
    int err;

    if (!work.co || !wait_revive())
        return fn(arg);
    err = pool_made ? libuv.uv_queue_work(loop_uv(), &work.uv, work_run, work_done) : work_queue_first(&work.uv);
    if (err)
        log_die("cannot queue work for the thread pool: %s", libuv.uv_strerror(err));
    coro_park();
    return work.result;
}

/* ---- a thread of its own ---- */

#define OWN_STACK (512 * 1024) /* bytes */

struct errand {
    struct coro *co;
    int (*fn)(void *arg);
    void *arg;
    int result;
};

static void errand_done(void *arg)
{
    coro_wake(((struct errand *)arg)->co, 0);
}

static void *errand_run(void *arg)
{
    struct errand *errand = arg;

    errand->result = errand->fn(errand->arg);
    wait_post(errand_done, errand);
    return NULL;
}

/* The application's signal handlers are for its own threads. Returns 0 or an error number. */
static int errand_start(struct errand *errand)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int error;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, OWN_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, errand_run, errand);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

int wait_thread(int (*fn)(void *arg), void *arg)
{
    struct errand errand = {.co = coro_self(), .fn = fn, .arg = arg};

    if (!errand.co || !wait_revive())
        return fn(arg);
    if (errand_start(&errand)) /* no memory for a thread: the pool has some */
        return wait_offload(fn, arg);
    coro_park();
    return errand.result;
}
