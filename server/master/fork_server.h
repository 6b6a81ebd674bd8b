/* fork_server.h: with `preload`, a process that has loaded the applications and forks workers. */
#ifndef MASTER_FORK_SERVER_H
#define MASTER_FORK_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct generation;

struct fork_server {
    pid_t pid;   /* 0: it has been reaped */
    int channel; /* to it */
    bool ready;  /* it has loaded the applications, and forks workers */
};

/* Fork it. clean is called in the child, to close what belongs to the master. NULL after a message. */
struct fork_server *fork_server_start(const struct generation *g, void (*clean)(void));

/* Have it fork a worker of that number, which becomes our own child; channel is the worker's end. Its pid, or -errno:
 * then it is no longer ready and about to be killed, or dead. */
pid_t fork_server_spawn(struct fork_server *n, int number, int channel);

/* End it and free n. The process is to be reaped, if it was not. */
void fork_server_stop(struct fork_server *n);

#endif
