/*
 * watcher.c: an OS thread that notices how long the loop and its coroutines have run.
 *
 * It looks at two counts that the loop's thread has anyway: iterations of the loop, and runs of coroutines (slice.h).
 * One that has not changed for a slice has used it up. So nobody reads a clock in the loop, and who waits often pays
 * nothing. A run is seen half a slice after it began at the latest, and ends half a slice later: a slice is at most as
 * long as it is set to, and at least half of that. It counts on the wall clock, as the others wait; but who has hardly
 * had a CPU, because the machine is busy, has not used up a slice.
 *
 * While the loop sleeps nothing is to be seen. After a while the watcher sleeps too, and the loop wakes it. That it is
 * about to sleep and that the loop is about to wake up can be missed by each other, without a memory barrier in every
 * iteration; so the watcher does not sleep for long.
 *
 * The thread has a descriptor table of its own, which is empty. In a process whose threads share a table, each system
 * call on a descriptor costs two more atomic operations.
 */
#include "wait/wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/events.h"
#include "base/real.h"
#include "base/thread.h"
#include "coro/recorder.h"
#include "wait/loop.h"

#define STACK_SIZE  (64 * 1024)
#define MAX_SLEEP   INT64_C(250000000) /* nanoseconds */
#define IDLE_LOOKS  16                 /* at a loop that sleeps, before the watcher sleeps too */
#define MIN_CPU     8                  /* a slice that is used up has taken this part of it on a CPU at least */
#define MIN_LOOKING INT64_C(50000)     /* nanoseconds between two looks */

atomic_int watcher_sleeps; /* a futex */

static struct wait_watching watching;
static clockid_t loop_clock; /* the CPU time of the loop's thread */
static bool is_late;         /* to be started with the second coroutine */
static bool is_started;      /* in this process */

/* Something that changes while all is well. */
struct watched {
    unsigned count;
    int64_t since; /* CLOCK_MONOTONIC nanoseconds at which the count was first seen */
    int64_t cpu;   /* nanoseconds of the loop's thread at that time */
};

/* Returns the CPU time of the loop's thread. */
static int64_t loop_cpu(void)
{
    struct timespec time = {0};

    clock_gettime(loop_clock, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Returns whether the count has not changed for half a slice. */
static bool watched_is_long(struct watched *w, unsigned count, int64_t now)
{
    if (w->count != count)
        *w = (struct watched){count, now, loop_cpu()};
    return now - w->since >= watching.slice / 2;
}

/* An iteration of the loop takes long: count that, and the time since it began, or since the last call. */
static void count_held(const struct watched *iteration, int64_t now)
{
    static int64_t counted; /* CLOCK_MONOTONIC ns up to which the present one was */

    if (counted < iteration->since) {
        event_count(EVENT_HELD, 1);
        counted = iteration->since;
    }
    event_count(EVENT_HELD_TIME, (uint64_t)(now - counted));
    counted = now;
}

/* Returns whether the loop runs, and does not sleep. */
static bool watcher_look(struct watched *iteration, struct watched *run)
{
    unsigned turn = wait_iteration(), entered = atomic_load_explicit(&slice.run, memory_order_relaxed);
    int64_t now = wait_now();
    bool runs = !(turn & 1), is_long = watched_is_long(iteration, turn, now);

    if (runs && is_long)
        count_held(iteration, now);
    if (watching.look)
        watching.look(turn);
    if (runs && now - iteration->since >= RECORD_LONG_LOOP)
        record_late(iteration->since);
    if (!runs)
        run->count = entered - 1; /* nobody runs */
    else if (watched_is_long(run, entered, now) && loop_cpu() - run->cpu >= watching.slice / MIN_CPU)
        coro_expire(entered);
    else if (is_long)
        atomic_store(&slice.over, true);
    return runs;
}

static void sleep_for_look(int64_t nanoseconds)
{
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};

    real()->nanosleep(&time, NULL);
}

/* The loop has slept for so long that this thread does so too, unless it has just woken up. */
static void sleep_as_loop_does(unsigned iteration)
{
    struct timespec time = {0, MAX_SLEEP};

    atomic_store(&watcher_sleeps, 1);
    if (wait_iteration() == iteration)
        real()->syscall(SYS_futex, &watcher_sleeps, FUTEX_WAIT_PRIVATE, 1, &time, NULL, 0);
    atomic_store(&watcher_sleeps, 0);
}

void watcher_wake_slow(void)
{
    atomic_store(&watcher_sleeps, 0);
    real()->syscall(SYS_futex, &watcher_sleeps, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *watcher_run(void *arg)
{
    int64_t looking = max_int64(min_int64(watching.slice / 2, watching.look_every), MIN_LOOKING);
    struct watched iteration = {0}, run = {0};
    int idle = 0;

    real()->syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 1U << 1); /* CLOSE_RANGE_UNSHARE; not in older kernels */
    for (;;) {
        sleep_for_look(looking);
        idle = watcher_look(&iteration, &run) ? 0 : idle + 1;
        if (idle > IDLE_LOOKS)
            sleep_as_loop_does(iteration.count);
    }
    return NULL;
}

int wait_watch(const struct wait_watching *w)
{
    watching = *w;
    if (real()->pthread_getcpuclockid(real()->pthread_self(), &loop_clock))
        loop_clock = CLOCK_PROCESS_CPUTIME_ID;
    if (!watching.look)
        watching.look_every = WAIT_FOREVER;
    atomic_store(&slice.preempts, watching.preempt);
    return thread_start(watcher_run, NULL, STACK_SIZE);
}

void wait_watch_late(const struct wait_watching *w)
{
    watching = *w;
    is_late = true;
}

/* Without the thread all goes on as it would with very long slices. */
void watcher_start_late(void)
{
    if (!is_late || is_started || coro_count() == 0)
        return;
    is_started = true;
    wait_watch(&(struct wait_watching){.slice = watching.slice, .preempt = watching.preempt});
}

void watcher_forget(void)
{
    is_started = false;
    atomic_store(&watcher_sleeps, 0);
}
