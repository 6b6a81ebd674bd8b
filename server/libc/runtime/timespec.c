/*
 * timespec.c: times as callers pass them to libc, and the deadlines that follow from them.
 *
 * Deadlines are CLOCK_MONOTONIC. A point in time of another clock is converted by the interval until then. If that
 * clock is set meanwhile, the deadline is wrong: calls for which it matters look at their clock again.
 */
#include "libc/runtime/timespec.h"

#include "wait/wait.h"

#define SECOND INT64_C(1000000000) /* nanoseconds */

const struct timespec timespec_zero;

bool timespec_may_wait(const struct timespec *timeout)
{
    return !timeout || (timespec_is_interval(timeout) && timespec_ns(timeout) > 0);
}

int64_t timespec_ns(const struct timespec *ts)
{
    int64_t ns;

    if (__builtin_mul_overflow((int64_t)ts->tv_sec, SECOND, &ns) || __builtin_add_overflow(ns, ts->tv_nsec, &ns))
        return ts->tv_sec < 0 ? 0 : INT64_MAX;
    return ns;
}

struct timespec timespec_of_ns(int64_t ns)
{
    return ns < 0 ? timespec_zero : (struct timespec){ns / SECOND, ns % SECOND};
}

struct timespec timespec_of_timeval(const struct timeval *tv)
{
    if (tv->tv_sec < 0 || tv->tv_usec < 0)
        return (struct timespec){.tv_nsec = -1};
    return (struct timespec){tv->tv_sec + tv->tv_usec / 1000000, tv->tv_usec % 1000000 * 1000};
}

int64_t timespec_deadline_in(const struct timespec *length)
{
    return length ? wait_deadline(timespec_ns(length)) : WAIT_FOREVER;
}

int64_t timespec_deadline_at(clockid_t clock, const struct timespec *until)
{
    struct timespec now;
    int64_t left;

    if (clock == CLOCK_MONOTONIC)
        return timespec_ns(until);
    clock_gettime(clock, &now);
    left = timespec_ns(until) - timespec_ns(&now);
    return wait_deadline(left > 0 ? left : 0);
}
