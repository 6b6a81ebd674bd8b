/* notify.h: tell systemd how the service is, sd_notify(3). Without a systemd nothing happens. */
#ifndef PROCESS_NOTIFY_H
#define PROCESS_NOTIFY_H

#include <stdint.h>

/* Take what systemd says in the environment out of it: programs that applications start are not the service. */
void notify_init(void);

/* Send lines such as "READY=1". What does not arrive is logged. */
void notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Nanoseconds within which WATCHDOG=1 must be sent, or 0. */
int64_t notify_watchdog(void);

/* Put the variables back, for a program that takes our place. */
void notify_export(void);

#endif
