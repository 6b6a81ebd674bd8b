/*
 * workers.c: the worker processes, as the master sees them, from the fork until they are reaped.
 *
 * The supervisor decides which workers there are. Here one is started, by a fork of the master or of the fork server;
 * and one that was told to stop is killed if it does not.
 */
#include "master/workers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "http/share/seats.h"
#include "log/log.h"
#include "master/fork_server.h"
#include "metrics/metrics_table.h"
#include "process/channel.h"
#include "process/prometheus_dir.h"
#include "wait/wait.h"
#include "worker/stack_report.h"
#include "worker/worker.h"

#define SECOND     INT64_C(1000000000)
#define KILL_AFTER (2 * SECOND) /* after shutdown-timeout, workers that are still there are killed */
#define PASS_TRIES 50           /* to pass a connection to workers that do not read */
#define PASS_WAIT  1            /* milliseconds between two */
#define CUT_AFTER  SECOND       /* from the end of its service to that of its requests, in a hurry */
#define EXIT_TIME  SECOND       /* between the end of a worker's channel and its exit */

struct list workers = LIST_INIT(workers);

/* ---- starting ---- */

/* Returns the pid or -errno. */
static pid_t fork_worker(struct generation *g, int number, const int ends[2], void (*close_inherited)(void))
{
    struct worker_job job = {&g->settings, g->mounts, &g->sockets, number, ends[1], false};
    pid_t pid = fork();

    if (pid != 0) {
        int err = -errno;

        close(ends[1]);
        return pid < 0 ? err : pid;
    }
    close(ends[0]);
    close_inherited();
    exit(worker_run(&job));
}

static bool is_worker_pid(pid_t pid)
{
    struct worker *w;

    for_each_worker (w)
        if (w->pid == pid)
            return true;
    return false;
}

struct worker *worker_start(struct generation *g, int number, void (*close_inherited)(void))
{
    struct worker *w;
    int ends[2], err = channel_open(ends);
    char name[16];
    pid_t pid;

    if (err) {
        log_error("cannot create a channel to worker %d: %s", number, strerror(-err));
        return NULL;
    }
    pid = g->fork_server ? fork_server_spawn(g->fork_server, number, ends, is_worker_pid)
                         : fork_worker(g, number, ends, close_inherited);
    if (pid < 0) {
        close(ends[0]);
        log_error("cannot fork worker %d: %s; retrying in a second", number, strerror(-pid));
        return NULL;
    }
    w = xcalloc(1, sizeof(*w));
    *w = (struct worker){.generation = g, .pid = pid, .number = number, .channel = ends[0]};
    snprintf(name, sizeof(name), "worker %d", number);
    life_begin(&w->life, name, pid, &g->settings.process);
    w->born = wait_now();
    w->cut_at = w->kill_at = w->lost_at = WAIT_FOREVER;
    generation_hold(g);
    list_push(&workers, &w->link);
    return w;
}

int workers_count_serving(void)
{
    struct worker *w;
    int n = 0;

    for_each_worker (w)
        n += w->state == WORKER_SERVING && !w->life.stuck;
    return n;
}

/* ---- ending ---- */

static void stop_within(struct worker *w, int signum, int64_t timeout)
{
    if (w->state == WORKER_STARTING && signum == SIGQUIT)
        signum = SIGTERM; /* it may have no handler yet, and would dump core */
    w->state = WORKER_STOPPING;
    w->kill_at = wait_now() + timeout + KILL_AFTER;
    kill(w->pid, signum);
}

void worker_stop(struct worker *w, int signum)
{
    stop_within(w, signum, w->generation->settings.shutdown_timeout * 1000000);
}

void worker_hurry(struct worker *w)
{
    w->cut_at = wait_now() + CUT_AFTER;
    w->kill_at = min_int64(w->kill_at, w->cut_at + KILL_AFTER);
}

void worker_kill(struct worker *w)
{
    life_end(&w->life);
    w->killed = true;
    w->state = WORKER_STOPPING;
    w->kill_at = wait_now() + SECOND; /* once more, though that should not be needed */
    kill(w->pid, SIGKILL);
}

void workers_stop(int signum, int64_t timeout)
{
    struct worker *w;

    for_each_worker (w)
        stop_within(w, signum, timeout);
}

int64_t workers_kill_overdue(int64_t now)
{
    int64_t next = WAIT_FOREVER;
    struct worker *w;

    for_each_worker (w) {
        if (w->cut_at <= now) {
            w->cut_at = WAIT_FOREVER;
            kill(w->pid, SIGINT);
        }
        if (w->kill_at <= now)
            kill(w->pid, SIGKILL);
        next = min_int64(next, w->kill_at <= now ? now + SECOND : w->kill_at); /* look again a second after a kill */
        next = min_int64(next, w->cut_at);
    }
    return next;
}

void worker_report_exit(const struct worker *w, int status)
{
    if (w->killed && WIFSIGNALED(status))
        log_info("worker %d (pid %d) was killed", w->number, (int)w->pid);
    else if (WIFSIGNALED(status) && w->state != WORKER_STOPPING)
        log_error("worker %d (pid %d) was killed by signal %d (%s)", w->number, (int)w->pid, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && w->kill_at <= wait_now())
        log_warn("worker %d (pid %d) did not stop in time and was killed", w->number, (int)w->pid);
    else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        log_error("worker %d (pid %d) exited with code %d", w->number, (int)w->pid, WEXITSTATUS(status));
    else if (w->state != WORKER_STOPPING)
        log_warn("worker %d (pid %d) exited unexpectedly", w->number, (int)w->pid);
}

void worker_free(struct worker *w)
{
    life_end(&w->life);
    seats_vacate(w->pid);
    metrics_vacate(w->pid);
    prometheus_dir_end(&w->generation->settings.process, w->pid);
    if (w->channel >= 0)
        close(w->channel);
    list_remove(&w->link);
    generation_drop(w->generation);
    free(w);
}

/* ---- talking to them ---- */

static bool all_drain;

void worker_tell_draining(const struct worker *w)
{
    if (all_drain && w->channel >= 0)
        channel_send(w->channel, &(struct channel_message){CHANNEL_DRAIN, 0, -1});
}

void workers_drain(bool on)
{
    struct worker *w;

    all_drain = on;
    for_each_worker (w)
        worker_tell_draining(w);
}

void workers_tell_requests(void)
{
    struct worker *w;

    for_each_worker (w)
        if (w->state != WORKER_STARTING)
            kill(w->pid, STACK_SIGNAL);
}

void workers_reopen_logs(void)
{
    struct worker *w;

    for_each_worker (w)
        if (w->channel >= 0)
            generation_reopen_logs(w->generation, w->channel);
}

/* Returns 0 or -errno. */
static int worker_pass(const struct worker *w, const struct listen_socket *s, int fd)
{
    int number = listen_number(&w->generation->sockets, s);

    if (number < 0 || w->channel < 0 || w->state == WORKER_STARTING)
        return -ENOENT;
    return channel_send(w->channel, &(struct channel_message){CHANNEL_CONNECTION, number, fd});
}

/* Returns the worker that took it, or NULL. *full: others may take it later. */
static struct worker *pass_to_one(const struct listen_socket *s, int fd, bool *full)
{
    struct worker *w;

    for_each_worker (w) {
        int err = worker_pass(w, s, fd);

        if (!err)
            return w;
        *full |= err == -EAGAIN;
    }
    return NULL;
}

void workers_pass(const struct listen_socket *s, int fd)
{
    struct worker *w;
    bool full;

    for (int tries = 0; tries < PASS_TRIES; tries++) {
        full = false;
        w = pass_to_one(s, fd, &full);
        if (w) { /* the next one is another's */
            list_remove(&w->link);
            list_push(&workers, &w->link);
        }
        if (w || !full)
            return;
        poll(NULL, 0, PASS_WAIT);
    }
}

void worker_lose_channel(struct worker *w)
{
    close(w->channel);
    w->channel = -1;
    w->lost_at = wait_now() + EXIT_TIME;
}

void worker_leave_loop(struct worker *w)
{
    int64_t kill_at = wait_now() + w->generation->settings.shutdown_timeout * 1000000 + KILL_AFTER;

    w->mute = true;
    w->kill_at = min_int64(w->kill_at, kill_at); /* if nobody has told it to stop */
}
