/* notify.h: tell systemd the state of the service, as sd_notify(3) does. Without systemd nothing happens. */
#ifndef PROCESS_NOTIFY_H
#define PROCESS_NOTIFY_H

#include <stdint.h>

/* Read systemd's environment variables and remove them: programs that applications start are not the service. */
void notify_init(void);

/* Send lines such as "READY=1". A failure is logged. */
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The nanoseconds within which WATCHDOG=1 must be sent, or 0. */
int64_t notify_watchdog(void);

/* Set the variables again, for the new binary of an upgrade. */
void notify_export(void);

#endif
