/* upgrade.h: start a new binary that takes over the listen sockets while this one still serves. */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

/* Execute argv[0] in a child that inherits the listen sockets. pidfile, which must outlive the upgrade, is renamed to
 * make place for that of the new master; NULL: there is none. blocked are the signals to unblock for it. Failures are
 * logged. */
void upgrade_start(char **argv, const char *pidfile, const sigset_t *blocked);

/* Give up a new master that has not started a process of its own start_timeout milliseconds (0: any time) after the
 * upgrade began; from then on its workers have that time. Returns when to call this again, at the latest. */
int64_t upgrade_step(int64_t now, int64_t start_timeout);

/* The pid of the new master, or 0. */
pid_t upgrade_pid(void);

/* A child has ended. If it is the new master, the pidfile is ours again. */
void upgrade_on_exit(pid_t pid, int status);

#endif
