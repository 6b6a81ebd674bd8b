/* own.h: what belongs to the server in a process, and not to the application that runs in it: descriptors and signal
 * handlers. Children that the application forks have none of it. */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <signal.h>
#include <sys/types.h>

/* From now on this process runs code of applications, which may fork: in each child, what is owned is released, and
 * then fn is called, if it is not NULL. The children of such children count too. */
void own_init(void (*fn)(void));

/* The descriptor is the server's. Once more does nothing. */
void own_fd(int fd);

/* It is about to be closed. */
void own_fd_end(int fd);

/* Returns a descriptor of the server that somebody else has closed, or made another file of; -1: there is none. */
int own_lost_fd(void);

/* Install a handler as sigaction does. In a child the handling returns to what it was before the first call for this
 * signal, unless somebody has changed it since. */
void own_signal(int signum, const struct sigaction *action);

/* fork, for a process that is to be the server too: everything stays owned. */
pid_t own_fork(void);

#endif
