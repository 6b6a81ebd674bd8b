/* fork_server.h: with `preload`, a process that has loaded the applications and forks workers. */
#ifndef MASTER_NURSERY_H
#define MASTER_NURSERY_H

#include <stdbool.h>
#include <sys/types.h>

struct generation;

struct nursery {
    pid_t pid;   /* 0: it has been reaped */
    int channel; /* to it */
    bool ready;  /* it has loaded the applications, and forks workers */
};

/* Fork it. clean is called in the child, to close what belongs to the master. NULL after a message. */
struct nursery *nursery_open(const struct generation *g, void (*clean)(void));

/* Have it fork a worker of that number, which becomes our own child; channel is the worker's end. Its pid, or -errno:
 * then it is no longer ready and about to be killed, or dead. */
pid_t nursery_spawn(struct nursery *n, int number, int channel);

/* End it and free n. The process is to be reaped, if it was not. */
void nursery_close(struct nursery *n);

#endif
