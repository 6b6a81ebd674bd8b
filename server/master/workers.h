/* workers.h: the worker processes, and what the master knows of each. */
#ifndef MASTER_WORKERS_H
#define MASTER_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "master/generation.h"

enum worker_state { BOOTING, SERVING, LEAVING };

struct worker {
    struct list link; /* in workers */
    struct generation *generation;
    enum worker_state state;
    pid_t pid;
    int number;
    int channel;     /* -1: closed */
    bool replace;    /* it has asked to be replaced */
    bool answered;   /* the last ping */
    int64_t born;    /* CLOCK_MONOTONIC nanoseconds; kill_at too */
    int64_t kill_at; /* WAIT_FOREVER: never */
};

extern struct list workers; /* all that have not been reaped */

static inline struct worker *worker_of(struct list *node)
{
    return list_entry(node, struct worker, link);
}

/* The body may free w. */
#define for_each_worker(w)                                                                                             \
    for (struct list *node = workers.next, *next_node = node->next;                                                    \
         node != &workers && ((w = worker_of(node)) || true); node = next_node, next_node = node->next)

/* Fork one of this generation, or have its nursery do that. clean is called in the child. NULL after a message. */
struct worker *worker_start(struct generation *g, int number, void (*clean)(void));

/* Tell it to end, and have it killed if it does not. */
void worker_end(struct worker *w, int signum);

/* It was reaped. */
void worker_free(struct worker *w);

/* Log how it ended, as far as nobody has asked for it. */
void worker_log_death(const struct worker *w, int status);

/* How many serve. */
int workers_serving(void);

/* Send all the signal, and have those killed that still live after so many nanoseconds. */
void workers_stop(int signum, int64_t patience);

/* Kill those that should have ended by now. Returns the next such time, or WAIT_FOREVER. */
int64_t workers_kill_overdue(int64_t now);

/* Send each its log files, opened anew. */
void workers_reopen(void);

/* Ask each for a sign of life. Returns whether any that serves has answered the time before. */
bool workers_ping(void);

#endif
