/*
 * sleep.c: sleep, usleep, nanosleep, clock_nanosleep and thrd_sleep; sched_yield, pthread_yield and thrd_yield.
 *
 * Each waits until a point in time of some clock. The loop knows CLOCK_MONOTONIC only, and wakes a coroutine up to a
 * millisecond after the deadline. Another clock may have been set meanwhile, so the coroutine looks at it again. A
 * sleep of no time lets the other coroutines run once, like sched_yield for threads.
 */
#include <threads.h>

#include "base/real.h"
#include "coro/sanitize.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

static bool time_is_past(const struct timespec *now, const struct timespec *until)
{
    return now->tv_sec > until->tv_sec || (now->tv_sec == until->tv_sec && now->tv_nsec >= until->tv_nsec);
}

/* Park until the clock shows at least until. Returns 0 or a negative errno. */
static int sleep_until(clockid_t clock, const struct timespec *until)
{
    struct timespec now;
    int result = 0;

    clock_gettime(clock, &now);
    if (time_is_past(&now, until))
        coro_yield();
    while (result == 0 && !time_is_past(&now, until)) {
        result = wait_sleep(timespec_deadline_at(clock, until));
        clock_gettime(clock, &now);
    }
    return result;
}

/* Returns the time of a clock after an interval, limited to what tv_sec holds. */
static struct timespec time_after(clockid_t clock, const struct timespec *interval)
{
    struct timespec t;

    clock_gettime(clock, &t);
    t.tv_nsec += interval->tv_nsec;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    if (__builtin_add_overflow(t.tv_sec, interval->tv_sec, &t.tv_sec))
        t.tv_sec = INT64_MAX;
    return t;
}

/* remaining, which may be NULL, is set if the sleep fails. */
static int sleep_for(clockid_t clock, const struct timespec *interval, struct timespec *remaining)
{
    struct timespec until = time_after(clock, interval), now;
    int result = sleep_until(clock, &until);

    if (result < 0 && remaining) {
        clock_gettime(clock, &now);
        *remaining = timespec_of_ns(timespec_ns(&until) - timespec_ns(&now));
    }
    return result;
}

/* The clocks that libc and the kernel accept for a sleep. */
static bool can_sleep_on(clockid_t clock)
{
    return clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI ||
           clock == CLOCK_PROCESS_CPUTIME_ID;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *remaining)
{
    if (!coro_self() || !can_sleep_on(clock) || !timespec_is_interval(request) || !park_possible())
        return real()->clock_nanosleep(clock, flags, request, remaining);
    if (flags & TIMER_ABSTIME)
        return park_error(sleep_until(clock, request));
    if (clock != CLOCK_PROCESS_CPUTIME_ID)
        clock = CLOCK_MONOTONIC; /* setting the clock does not change the length of a relative sleep */
    return park_error(sleep_for(clock, request, remaining));
}

int nanosleep(const struct timespec *request, struct timespec *remaining)
{
    if (!coro_self() || !timespec_is_interval(request) || !park_possible())
        return real()->nanosleep(request, remaining);
    return park_ok(sleep_for(CLOCK_MONOTONIC, request, remaining)) ? 0 : -1;
}

unsigned sleep(unsigned seconds)
{
    struct timespec request = {.tv_sec = seconds}, remaining = {0};

    if (!coro_self())
        return real()->sleep(seconds);
    if (nanosleep(&request, &remaining) == 0)
        return 0;
    return (unsigned)(remaining.tv_sec + (remaining.tv_nsec >= 500000000)); /* rounded as libc does */
}

int usleep(useconds_t microseconds)
{
    struct timespec request = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000};

    if (!coro_self())
        return real()->usleep(microseconds);
    return nanosleep(&request, NULL);
}

int thrd_sleep(const struct timespec *interval, struct timespec *remaining)
{
    int error = clock_nanosleep(CLOCK_REALTIME, 0, interval, remaining);

    return error == EINTR ? -1 : error ? -2 : 0; /* the values of C11 and of libc */
}

/* ---- giving way ---- */

/* A loop of these may wait for an OS thread or for another coroutine. */
int sched_yield(void)
{
    if (park_stays_away() || !coro_self() || caller_kind() == CALLER_LOOP || !park_possible() ||
        sanitize_calls(__builtin_return_address(0)))
        return real()->sched_yield();
    real()->sched_yield();
    coro_yield();
    return 0;
}

/* The exported name of older programs. The headers turn it into sched_yield. */
int old_pthread_yield(void) __asm__("pthread_yield") __attribute__((alias("sched_yield"), nothrow, leaf));

void thrd_yield(void)
{
    sched_yield();
}
