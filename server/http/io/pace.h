/*
 * pace.h: how fast a client must send. Only the time counts for which it is waited for, so a server that is busy, or a
 * handler that takes its time, makes no client slow.
 */
#ifndef HTTP_PACE_H
#define HTTP_PACE_H

#include <stddef.h>

#include "base/array.h"
#include "wait/wait.h"

struct pace_limit {
    int64_t rate;  /* bytes for each second that is waited; 0: no limit */
    int64_t grace; /* ns that may be waited besides */
};

/* Of one head or body. */
struct pace {
    int64_t waited; /* ns */
    size_t received;
};

/* Returns the nanoseconds that so many bytes may take. */
static inline int64_t pace_allows(const struct pace_limit *limit, size_t received)
{
    size_t seconds = received / (size_t)limit->rate, rest = received % (size_t)limit->rate;

    if (seconds > 1000000000)
        return WAIT_FOREVER / 2;
    return limit->grace + (int64_t)seconds * 1000000000 + (int64_t)(rest * 1000000000 / (size_t)limit->rate);
}

/* Returns when a wait for more bytes must end: at the deadline, or when the client is too slow. limit may be NULL. */
static inline int64_t pace_deadline(const struct pace_limit *limit, const struct pace *pace, int64_t deadline)
{
    int64_t left;

    if (!limit || !limit->rate)
        return deadline;
    left = pace_allows(limit, pace->received) - pace->waited;
    return min_int64(deadline, wait_deadline(left > 0 ? left : 0));
}

#endif
