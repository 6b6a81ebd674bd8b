/*
 * work.c: run a function on a thread of libuv's pool while the coroutine waits.
 *
 * The request lives on the coroutine's stack, so this wait cannot be cancelled: the thread would go on with memory that
 * is gone.
 */
#include "wait/wait.h"

#include <stdlib.h>

#include "log.h"
#include "wait/loop.h"

struct work {
    uv_work_t uv;
    struct coro *co;
    int (*fn)(void *arg);
    void *arg;
    int result;
};

static void run(uv_work_t *uv)
{
    struct work *work = (struct work *)uv;

    work->result = work->fn(work->arg);
}

static void done(uv_work_t *uv, int status)
{
    coro_wake(((struct work *)uv)->co, 0);
}

int wait_offload(int (*fn)(void *arg), void *arg)
{
    struct work work = {.co = coro_self(), .fn = fn, .arg = arg};
    int err;

    if (!work.co)
        return fn(arg);
    err = uv_queue_work(loop_uv(), &work.uv, run, done);
    if (err)
        log_die("cannot queue work for the thread pool: %s", uv_strerror(err));
    coro_park();
    return work.result;
}
