/* watchdog.h: notice that something blocks the event loop, and log what. */
#ifndef WORKER_WATCHDOG_H
#define WORKER_WATCHDOG_H

#include <stdint.h>

/* Watch the event loop of this OS thread from now on: when an iteration takes longer than timeout milliseconds, log the
 * request that blocks it with its stack, at most once a second; 0: never. SIGRTMIN+1 to the process asks for the same
 * line at any time. */
void watchdog_start(int64_t timeout);

#endif
