/*
 * park.c: what all calls share when they have to wait: may this one park, until when, and how to wait for what nobody
 * announces.
 */
#include "libc/runtime/park.h"

#include <unistd.h>

#define LOOKS_IN_A_ROW 64
#define SECOND         INT64_C(1000000000)
#define PAUSE_LONGEST  (32 * INT64_C(1000000))
#define PAUSE_FIRST    INT64_C(1000000)

static pid_t owner; /* the process whose loop runs the coroutines */

void park_init(void)
{
    owner = getpid();
}

bool park_possible(void)
{
    return coro_self() && getpid() == owner;
}

void park_fair(void)
{
    static unsigned looks;

    if (!coro_self() || ++looks < LOOKS_IN_A_ROW || !park_possible())
        return;
    looks = 0;
    coro_yield();
}

bool park_valid(const struct timespec *ts)
{
    return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < SECOND;
}

int64_t park_nanoseconds(const struct timespec *ts)
{
    int64_t ns;

    if (__builtin_mul_overflow((int64_t)ts->tv_sec, SECOND, &ns) || __builtin_add_overflow(ns, ts->tv_nsec, &ns))
        return ts->tv_sec < 0 ? 0 : INT64_MAX;
    return ns;
}

int64_t park_deadline_in(const struct timespec *length)
{
    return length ? wait_deadline(park_nanoseconds(length)) : WAIT_FOREVER;
}

int64_t park_deadline(clockid_t clock, const struct timespec *until)
{
    struct timespec now;
    int64_t left;

    if (clock == CLOCK_MONOTONIC)
        return park_nanoseconds(until);
    clock_gettime(clock, &now);
    left = park_nanoseconds(until) - park_nanoseconds(&now);
    return wait_deadline(left > 0 ? left : 0);
}

int64_t park_backoff_end(struct park_backoff *backoff, int64_t deadline)
{
    int64_t end;

    backoff->pause = backoff->pause == 0 ? PAUSE_FIRST : backoff->pause * 2;
    if (backoff->pause > PAUSE_LONGEST)
        backoff->pause = PAUSE_LONGEST;
    end = wait_deadline(backoff->pause);
    return end < deadline ? end : deadline;
}

int park_backoff(struct park_backoff *backoff, int64_t deadline)
{
    if (deadline <= wait_now())
        return -ETIMEDOUT;
    return wait_sleep(park_backoff_end(backoff, deadline));
}
