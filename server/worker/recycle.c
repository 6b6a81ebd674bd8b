/*
 * recycle.c: ask for a replacement of this worker once it has reached one of its limits; for applications that leak.
 *
 * The limits are checked once a second, so that a request pays for no more than a counter. Each worker adds a random
 * share to its own, so that they are not all replaced at the same time. The worker serves until the new one is ready.
 *
 * The random numbers come from a generator of our own: with srandom() and random() we would change those that the
 * application gets.
 */
#include "worker/recycle.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/array.h"
#include "http/connection.h"
#include "log/log.h"
#include "metrics/resident.h"
#include "wait/wait.h"

#define CHECK_EVERY 1000 /* milliseconds */

static struct {
    int64_t requests, rss;     /* limits; 0: none */
    int64_t ends;              /* CLOCK_MONOTONIC nanoseconds; WAIT_FOREVER: no limit */
    void (*on_limit)(void);    /* NULL once it has been called */
    struct random_data random; /* of random_r; its state is in random_state */
    char random_state[32];
} recycle;

/* The key of the limit that is reached, or NULL. */
static const char *reached_limit(void)
{
    if (recycle.requests && (int64_t)http_served() >= recycle.requests)
        return "max-requests";
    if (wait_now() >= recycle.ends)
        return "max-lifetime";
    if (recycle.rss && resident_bytes() >= recycle.rss)
        return "max-rss";
    return NULL;
}

static void check_limits(void)
{
    void (*on_limit)(void) = recycle.on_limit;
    const char *key = on_limit ? reached_limit() : NULL;

    if (!key)
        return;
    log_info("%s reached: this worker asks to be replaced", key);
    recycle.on_limit = NULL;
    on_limit();
}

static void seed_random(void)
{
    unsigned seed = (unsigned)getpid() ^ (unsigned)wait_now();

    initstate_r(seed, recycle.random_state, sizeof(recycle.random_state), &recycle.random);
}

/* A random number from 0 to max; of 31 bits at most. */
static int64_t random_up_to(int64_t max)
{
    int32_t number;

    random_r(&recycle.random, &number);
    return max < INT32_MAX ? number % (max + 1) : number;
}

void recycle_start(const struct process_settings *settings, void (*on_limit)(void))
{
    int64_t lifetime = settings->max_lifetime; /* milliseconds: as nanoseconds it would be more than random_r gives */

    if (!settings->max_requests && !lifetime && !settings->max_rss)
        return;
    seed_random();
    recycle.requests = settings->max_requests;
    if (recycle.requests)
        recycle.requests =
            min_int64(recycle.requests, INT64_MAX - INT32_MAX) + random_up_to(settings->max_requests_jitter);
    recycle.rss = settings->max_rss;
    if (recycle.rss && !resident_bytes())
        log_warn("max-rss has no effect: cannot read /proc/self/statm: %m");
    recycle.ends = lifetime ? wait_deadline((lifetime + random_up_to(lifetime / 10)) * 1000000) : WAIT_FOREVER;
    recycle.on_limit = on_limit;
    wait_every(CHECK_EVERY, check_limits);
}
