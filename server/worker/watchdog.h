/* watchdog.h: notice that something blocks the event loop. */
#ifndef WORKER_WATCHDOG_H
#define WORKER_WATCHDOG_H

#include "settings/process.h"

/* Watch the event loop of this OS thread from now on, after stack_report_init: coroutines that have run for time-slice
 * give way; and when an iteration takes longer than watchdog-timeout, the log says which request blocks it, with its
 * stack, and again after 10 s and 60 s. */
void watchdog_start(const struct process_settings *settings);

#endif
