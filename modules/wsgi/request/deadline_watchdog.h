/*
 * deadline_watchdog.h: ends requests that compute past their request-timeout.
 */
#ifndef DEADLINE_WATCHDOG_H
#define DEADLINE_WATCHDOG_H

/* Starts the watchdog's thread, at the first call in a process. */
void deadline_watchdog_start(void);

#endif
