/* prometheus_dir.h: the folder by which prometheus_client in applications adds up what several processes count. */
#ifndef PROCESS_PROMETHEUS_DIR_H
#define PROCESS_PROMETHEUS_DIR_H

#include <sys/types.h>

#include "settings/process.h"

/* In the master, when it starts: make the folder for the workers' user, and empty it. Returns 0, or -errno after a
 * message. Does nothing without one. */
int prometheus_dir_prepare(const struct process_settings *s);

/* In a worker or fork server, before the interpreter starts: tell prometheus_client of it, by the environment. */
void prometheus_dir_export(const struct process_settings *s);

/* In the master: this worker has ended, so its live gauges count no more. */
void prometheus_dir_end(const struct process_settings *s, pid_t pid);

#endif
