/* signal_server.h: -s, a signal to the running server. */
#ifndef MAIN_SIGNAL_SERVER_H
#define MAIN_SIGNAL_SERVER_H

#include <sys/types.h>

/* Signal the master with that pid, or, if pid is 0, the one that the pidfile (NULL: there is none) names; at a reload
 * wait for its end. Returns the exit code, after a message if it is not 0. */
int signal_server(pid_t pid, const char *pidfile, int signum);

#endif
