/* upgrade.h: a new binary that takes over the sockets while we still serve. */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Execute argv[0] in a child, with the listening sockets. The pidfile, if there is one, is set aside for its own.
 * blocked: the signals that it is to find unblocked. Failure is logged. */
void upgrade_start(char **argv, const char *pidfile, const sigset_t *blocked);

/* Its pid, or 0. */
pid_t upgrade_pid(void);

/* A child has ended: if it was the successor, we go on. */
void upgrade_on_exit(pid_t pid, int status);

#endif
