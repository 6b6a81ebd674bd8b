/* fork_server.h: with `preload`, a process that has loaded the applications and forks the workers. */
#ifndef MASTER_FORK_SERVER_H
#define MASTER_FORK_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "master/liveness.h"

struct generation;

struct fork_server {
    struct list link; /* in the list of those that have not been reaped */
    pid_t pid;        /* 0: it has been reaped */
    int channel;      /* to it; owned; -1: it was told to end */
    bool ready;       /* it has loaded the applications, and forks workers */
    int64_t kill_at;  /* CLOCK_MONOTONIC nanoseconds at which it should have ended */
    struct life life;
};

/* Start one for the generation. close_inherited is called in the child, to close what belongs to the master. Returns
 * NULL after a message. */
struct fork_server *fork_server_start(const struct generation *g, void (*close_inherited)(void));

/* Have it fork the worker of that number, which becomes a child of ours. ends: of the worker's channel, of which the
 * worker's, the second, is closed here. is_known: whether the process is a worker already. Returns the pid, or -errno:
 * then the fork server is no longer ready, and dead or about to die, unless there is no room for a process. */
pid_t fork_server_spawn(struct fork_server *f, int number, int ends[2], bool (*is_known)(pid_t pid));

/* Make it end. f is freed when the process is reaped, at once if pid is 0. */
void fork_server_stop(struct fork_server *f);

/* Returns whether the process that has ended was a fork server that was told to. */
bool fork_server_on_exit(pid_t pid);

/* Kill those that should have ended by now. Returns the next such time, or WAIT_FOREVER. */
int64_t fork_servers_kill_overdue(int64_t now);

/* Whether there are any that have not been reaped. */
bool fork_servers_are_left(void);

#endif
