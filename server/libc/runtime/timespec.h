/* timespec.h: times as callers pass them to libc, and the deadlines that follow from them. */
#ifndef LIBC_TIMESPEC_H
#define LIBC_TIMESPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

extern const struct timespec timespec_zero;

/* Whether libc accepts ts as a point in time, which may lie before the epoch of its clock. */
static inline bool timespec_is_point(const struct timespec *ts)
{
    return ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000;
}

/* Whether libc accepts ts as an interval. */
static inline bool timespec_is_interval(const struct timespec *ts)
{
    return ts->tv_sec >= 0 && timespec_is_point(ts);
}

/* Whether a call with that timeout (NULL: none) may wait: false if the timeout is 0, or one that libc refuses. */
bool timespec_may_wait(const struct timespec *timeout);

/* Returns ts in nanoseconds, limited to INT64_MAX; 0 if it is too far in the past. */
int64_t timespec_ns(const struct timespec *ts);

/* The reverse; 0 if ns is negative. */
struct timespec timespec_of_ns(int64_t ns);

/* Returns the same time; one that timespec_is_interval refuses if a field is negative. */
struct timespec timespec_of_timeval(const struct timeval *tv);

/* Returns the deadline, as wait.h has them, of a wait of that length; NULL: WAIT_FOREVER. */
int64_t timespec_deadline_in(const struct timespec *length);

/* Returns the deadline of a wait until a point in time of any clock. */
int64_t timespec_deadline_at(clockid_t clock, const struct timespec *until);

#endif
