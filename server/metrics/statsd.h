/* statsd.h: send what was counted to a statsd server. In the master. */
#ifndef METRICS_STATSD_H
#define METRICS_STATSD_H

#include "base/address.h"

struct statsd_target {
    union address address;
    socklen_t size;     /* of address; 0: nothing is sent */
    const char *prefix; /* before each name, with its dot; borrowed */
};

/* Send what is new, if that is due, to this target from now on. silent: another master with the same counters sends.
 * Never waits. Returns the CLOCK_MONOTONIC nanoseconds when more is due, or WAIT_FOREVER. */
int64_t statsd_step(const struct statsd_target *target, bool silent, int64_t now);

/* Send what is new now, as the last. */
void statsd_end(const struct statsd_target *target, bool silent);

/* In a forked child: close the socket. */
void statsd_forget(void);

#endif
