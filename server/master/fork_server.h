/* fork_server.h: with `preload`, a process that has loaded the applications and forks the workers. */
#ifndef MASTER_FORK_SERVER_H
#define MASTER_FORK_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "master/liveness.h"

struct generation;

struct fork_server {
    pid_t pid;   /* 0: it has been reaped */
    int channel; /* to it; owned */
    bool ready;  /* it has loaded the applications, and forks workers */
    struct life life;
};

/* Start one for the generation. close_inherited is called in the child, to close what belongs to the master. Returns
 * NULL after a message. */
struct fork_server *fork_server_start(const struct generation *g, void (*close_inherited)(void));

/* Have it fork the worker of that number, which becomes a child of ours. channel is the worker's end; it stays the
 * caller's. Returns the pid, or -errno: then the fork server is no longer ready, and dead or about to die. */
pid_t fork_server_spawn(struct fork_server *f, int number, int channel);

/* Make it end, and free f. The process is still to be reaped unless pid is 0. */
void fork_server_stop(struct fork_server *f);

#endif
