/*
 * recycle.c: when a worker has served enough: for applications that leak.
 *
 * Looked at once a second, so that a request pays nothing but a count, and with some chance in each bound, so that not
 * all workers are replaced at the same time. The worker goes on serving until its successor is ready.
 */
#include "worker/recycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "http/connection.h"
#include "log/log.h"
#include "wait/wait.h"

#define LOOK_EVERY 1000 /* milliseconds */

static struct {
    int64_t requests, rss; /* bounds; 0: none */
    int64_t ends;          /* CLOCK_MONOTONIC nanoseconds; WAIT_FOREVER: none */
    void (*enough)(void);  /* NULL when it was called */
} recycle;

static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* Why it is enough, or NULL. */
static const char *reason(void)
{
    if (recycle.requests && (int64_t)http_served() >= recycle.requests)
        return "max-requests";
    if (wait_now() >= recycle.ends)
        return "max-lifetime";
    if (recycle.rss && resident_bytes() >= recycle.rss)
        return "max-rss";
    return NULL;
}

static void look(void)
{
    const char *why = recycle.enough ? reason() : NULL;
    void (*enough)(void) = recycle.enough;

    if (!why)
        return;
    log_info("%s is reached: this worker asks to be replaced", why);
    recycle.enough = NULL;
    enough();
}

/* A whole number below bound, or 0. */
static int64_t any_below(int64_t bound)
{
    return bound > 0 ? random() % bound : 0;
}

void recycle_start(const struct process_settings *settings, void (*enough)(void))
{
    int64_t life = settings->max_lifetime * 1000000;

    if (!settings->max_requests && !life && !settings->max_rss)
        return;
    srandom((unsigned)getpid() ^ (unsigned)wait_now());
    recycle.requests = settings->max_requests;
    if (recycle.requests)
        recycle.requests += any_below(settings->max_requests_jitter + 1);
    recycle.rss = settings->max_rss;
    recycle.ends = life ? wait_deadline(life + any_below(life / 10)) : WAIT_FOREVER;
    recycle.enough = enough;
    wait_every(LOOK_EVERY, look);
}
