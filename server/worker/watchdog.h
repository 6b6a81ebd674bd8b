/* watchdog.h: notice that something holds the loop, and log what. */
#ifndef WORKER_WATCHDOG_H
#define WORKER_WATCHDOG_H

#include <stdint.h>

/* Watch the loop of this OS thread from now on: when it has not turned for so many milliseconds, the log says which
 * request holds it and where, at most once a second. SIGRTMIN+1 to the process asks for the same at any time. */
void watchdog_start(int64_t limit);

#endif
