/*
 * sleep.c: sleep, usleep, nanosleep and clock_nanosleep.
 *
 * All are a wait until a time on some clock. The loop counts in CLOCK_MONOTONIC and wakes within a millisecond after
 * the deadline; when the clock asked for is another one, it may have been set meanwhile, so it is looked at again. A
 * sleep of nothing lets the others run once, as giving up the processor does for a thread.
 */
#include "libc/runtime/park.h"
#include "base/real.h"

static bool is_past(const struct timespec *now, const struct timespec *until)
{
    return now->tv_sec > until->tv_sec || (now->tv_sec == until->tv_sec && now->tv_nsec >= until->tv_nsec);
}

/* Park until the clock shows at least until: 0 or a negative errno. */
static int park_until(clockid_t clock, const struct timespec *until)
{
    struct timespec now;
    int result = 0;

    clock_gettime(clock, &now);
    if (is_past(&now, until))
        coro_yield();
    while (result == 0 && !is_past(&now, until)) {
        result = wait_sleep(park_deadline(clock, until));
        clock_gettime(clock, &now);
    }
    return result;
}

/* The time on a clock after a duration; the end of time if that is later. */
static struct timespec time_after(clockid_t clock, const struct timespec *duration)
{
    struct timespec t;

    clock_gettime(clock, &t);
    t.tv_nsec += duration->tv_nsec;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    if (__builtin_add_overflow(t.tv_sec, duration->tv_sec, &t.tv_sec))
        t.tv_sec = INT64_MAX;
    return t;
}

/* How much of a relative sleep was left. */
static void set_remaining(struct timespec *remaining, clockid_t clock, const struct timespec *until)
{
    struct timespec now;
    int64_t left;

    clock_gettime(clock, &now);
    left = park_nanoseconds(until) - park_nanoseconds(&now);
    if (left < 0)
        left = 0;
    remaining->tv_sec = left / 1000000000;
    remaining->tv_nsec = left % 1000000000;
}

static int sleep_for(clockid_t clock, const struct timespec *duration, struct timespec *remaining)
{
    struct timespec until = time_after(clock, duration);
    int result = park_until(clock, &until);

    if (result < 0 && remaining)
        set_remaining(remaining, clock, &until);
    return result;
}

/* The clocks on which libc and the kernel let one sleep. */
static bool can_sleep_on(clockid_t clock)
{
    return clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI ||
           clock == CLOCK_PROCESS_CPUTIME_ID;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *remaining)
{
    if (!coro_self() || !can_sleep_on(clock) || !park_valid(request) || !park_possible())
        return real()->clock_nanosleep(clock, flags, request, remaining);
    if (flags & TIMER_ABSTIME)
        return park_error(park_until(clock, request));
    if (clock != CLOCK_PROCESS_CPUTIME_ID)
        clock = CLOCK_MONOTONIC; /* setting the clock does not change the length of a relative sleep */
    return park_error(sleep_for(clock, request, remaining));
}

int nanosleep(const struct timespec *request, struct timespec *remaining)
{
    if (!coro_self() || !park_valid(request) || !park_possible())
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
