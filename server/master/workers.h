/* workers.h: the worker processes, as the master sees them. */
#ifndef MASTER_WORKERS_H
#define MASTER_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "master/generation.h"
#include "master/liveness.h"

enum worker_state { WORKER_STARTING, WORKER_SERVING, WORKER_STOPPING };

struct worker {
    struct list link;              /* in workers */
    struct generation *generation; /* held */
    enum worker_state state;
    pid_t pid;
    int number;
    int channel;      /* owned; -1: closed */
    bool replace;     /* it has asked to be replaced, or is stuck */
    bool mute;        /* it answers no pings any more */
    bool killed;      /* because it was stuck or did not become ready, which the log has said */
    struct life life; /* whether it hangs */
    int64_t born;     /* CLOCK_MONOTONIC nanoseconds; so are the next three, and WAIT_FOREVER: never */
    int64_t cut_at;   /* when its requests are cut */
    int64_t kill_at;
    int64_t lost_at; /* when it is to have exited, since it has closed its channel */
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

/* After worker_stop: cut its requests soon, and do not wait for shutdown-timeout. */
void worker_hurry(struct worker *w);

/* Kill it, because it hangs. */
void worker_kill(struct worker *w);

/* To be called when it was reaped. */
void worker_free(struct worker *w);

/* Log how it ended, unless it was told to. */
void worker_report_exit(const struct worker *w, int status);

/* Returns how many are in state WORKER_SERVING and are not stuck. */
int workers_count_serving(void);

/* Send the signal to all, and kill those that still live timeout nanoseconds later. */
void workers_stop(int signum, int64_t timeout);

/* Kill those that should have ended by now. Returns the next such time, or WAIT_FOREVER. */
int64_t workers_kill_overdue(int64_t now);

/* From now on all say that they are about to stop, those that start later too; or only those that do so already. */
void workers_drain(bool on);

/* It serves: tell it so, after workers_drain. */
void worker_tell_draining(const struct worker *w);

/* Have each write its running requests to the log. */
void workers_tell_requests(void);

/* Reopen the log files of each and send it the descriptors. */
void workers_reopen_logs(void);

/* Have a worker serve a connection from the backlog of a listen socket, which stays the caller's. If there is none that
 * can, the connection is not served. */
void workers_pass(const struct listen_socket *s, int fd);

/* It has closed its channel: it is about to exit. */
void worker_lose_channel(struct worker *w);

/* It has left its event loop: it answers no more, and is about to exit. */
void worker_leave_loop(struct worker *w);

#endif
