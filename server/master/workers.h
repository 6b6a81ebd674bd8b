/* workers.h: the worker processes, as the master sees them. */
#ifndef MASTER_WORKERS_H
#define MASTER_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "master/generation.h"

enum worker_state { WORKER_STARTING, WORKER_SERVING, WORKER_STOPPING };

struct worker {
    struct list link;              /* in workers */
    struct generation *generation; /* held */
    enum worker_state state;
    pid_t pid;
    int number;
    int channel;     /* owned; -1: closed */
    bool replace;    /* it has asked to be replaced */
    bool answered;   /* the last ping */
    int64_t born;    /* CLOCK_MONOTONIC nanoseconds */
    int64_t kill_at; /* CLOCK_MONOTONIC nanoseconds; WAIT_FOREVER: never */
};

extern struct list workers; /* all that have not been reaped */

static inline struct worker *worker_of(struct list *node)
{
    return list_entry(node, struct worker, link);
}

/* Visit each worker. The body may free w. */
#define for_each_worker(w)                                                                                             \
    for (struct list *node = workers.next, *next_node = node->next;                                                    \
         node != &workers && ((w = worker_of(node)) || true); node = next_node, next_node = node->next)

/* Fork one of this generation, or have its fork server do that. close_inherited is called in the child, to close what
 * belongs to the master. Returns NULL after a message. */
struct worker *worker_start(struct generation *g, int number, void (*close_inherited)(void));

/* Send it a signal to stop, and kill it if it does not. */
void worker_stop(struct worker *w, int signum);

/* To be called when it was reaped. */
void worker_free(struct worker *w);

/* Log how it ended, unless it was told to. */
void worker_report_exit(const struct worker *w, int status);

/* Returns how many are in state WORKER_SERVING. */
int workers_count_serving(void);

/* Send the signal to all, and kill those that still live timeout nanoseconds later. */
void workers_stop(int signum, int64_t timeout);

/* Kill those that should have ended by now. Returns the next such time, or WAIT_FOREVER. */
int64_t workers_kill_overdue(int64_t now);

/* Reopen the log files of each and send it the descriptors. */
void workers_reopen_logs(void);

/* Send a ping to each that serves. Returns whether any of these has answered the last one. */
bool workers_ping(void);

#endif
