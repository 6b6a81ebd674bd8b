/* watchdog.h: notice that something blocks the event loop. */
#ifndef WORKER_WATCHDOG_H
#define WORKER_WATCHDOG_H

#include <stdint.h>

/* Watch the event loop of this OS thread from now on, after stack_report_init: when an iteration takes longer than
 * timeout milliseconds, the log says which request blocks it, with its stack, and again after 10 s and 60 s; 0: never.
 */
void watchdog_start(int64_t timeout);

#endif
