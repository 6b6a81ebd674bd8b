/* worker.h: a process that serves. */
#ifndef WORKER_H
#define WORKER_H

#include "conf/settings.h"
#include "module.h"

/* Serve on the listening sockets fds (one for each bind) until told to stop: SIGTERM or SIGQUIT, when the running
 * requests have ended or shutdown-timeout is over; SIGINT, at once. A byte is written to ready_fd when it begins.
 * Returns the exit code of the process. */
int worker_run(const struct settings *settings, struct mount *mounts, const int *fds, int number, int ready_fd);

#endif
