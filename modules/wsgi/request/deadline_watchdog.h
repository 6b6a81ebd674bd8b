/*
 * deadline_watchdog.h: ends requests that compute past their request-timeout.
 */
#ifndef DEADLINE_WATCHDOG_H
#define DEADLINE_WATCHDOG_H

struct exchange;

/* Starts the watchdog's thread, at the first call in a process. */
void deadline_watchdog_start(void);

/* This request computes past its request-timeout, although it was told: raises the exception in it. On the loop's
 * stack. */
void deadline_watchdog_note(struct exchange *x);

#endif
