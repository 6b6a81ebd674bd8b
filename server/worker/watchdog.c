/*
 * watchdog.c: notice that something blocks the event loop, and have it reported.
 *
 * A thread looks at the loop's count of iterations. If that does not change for too long, it has the loop's thread say
 * what it is doing, by a signal (stack_report.c): for the log after watchdog-timeout, 10 s and 60 s; and without a line
 * each second, so that requests are noticed that compute past their request-timeout. A worker that does not get over it
 * is replaced by the master (master/liveness.c).
 *
 * The thread has a descriptor table of its own, which is empty. In a process whose threads share a table, each system
 * call on a descriptor costs two more atomic operations.
 */
#include "worker/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/array.h"
#include "base/real.h"
#include "log/log.h"
#include "wait/wait.h"
#include "worker/stack_report.h"

#define SECOND     INT64_C(1000000000)
#define LOOK_EVERY SECOND      /* nanoseconds */
#define STACK_SIZE (64 * 1024) /* of the thread */

static const int64_t log_again[] = {10 * SECOND, 60 * SECOND}; /* nanoseconds that the loop has been blocked */

static int64_t watchdog_timeout; /* nanoseconds */

/* Something that blocks the loop. */
struct block {
    int64_t since;     /* CLOCK_MONOTONIC nanoseconds; so is the next */
    int64_t looked;    /* 0: not yet */
    int64_t next_line; /* nanoseconds for which the loop has to be blocked before the log says so again */
};

static struct block block_begin(void)
{
    return (struct block){.since = wait_now(), .next_line = watchdog_timeout};
}

static int64_t line_after(int64_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(log_again); i++)
        if (log_again[i] > length)
            return log_again[i];
    return WAIT_FOREVER;
}

static void watch_block(struct block *block)
{
    int64_t now = wait_now(), length = now - block->since;
    bool log = length >= block->next_line;

    if (length < watchdog_timeout || (!log && now - block->looked < LOOK_EVERY))
        return;
    block->looked = now;
    if (log)
        block->next_line = line_after(length);
    stack_report_ask(log ? STACK_LOG : STACK_LOOK, block->since);
}

static void *watch_loop(void *arg)
{
    unsigned seen = wait_iteration();
    struct block block = block_begin();

    real()->syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 1U << 1); /* CLOSE_RANGE_UNSHARE; not in older kernels */
    for (;;) {
        unsigned iteration;

        usleep((useconds_t)(min_int64(watchdog_timeout, LOOK_EVERY) / 4000)); /* a quarter of it */
        iteration = wait_iteration();
        if (iteration != seen || iteration & 1) { /* odd: the loop sleeps */
            seen = iteration;
            block = block_begin();
        } else {
            watch_block(&block);
        }
    }
    return NULL;
}

void watchdog_start(int64_t timeout)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int err;

    if (timeout == 0)
        return;
    watchdog_timeout = timeout * 1000000;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the loop's thread handles signals */
    err = pthread_create(&thread, &attr, watch_loop, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (err)
        log_warn("watchdog-timeout has no effect: cannot start a thread: %s", strerror(err));
}
