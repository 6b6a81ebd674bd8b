/*
 * fork_server.c: with `preload`, a process that has loaded the applications and forks the workers.
 *
 * The master itself runs no code of applications: it stays root, and could not load them a second time at a reload. So
 * a process in between loads them, with the privileges of a worker, and forks workers when the master asks. Workers
 * share the memory that was filled before the fork.
 *
 * To be children of the master, workers are forked twice: the process in the middle ends at once, and its orphan goes
 * to the nearest ancestor that has asked for orphans (PR_SET_CHILD_SUBREAPER), the master.
 */
#include "master/fork_server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "base/exit_code.h"
#include "base/mem.h"
#include "base/own.h"
#include "coro/fault.h"
#include "log/log.h"
#include "master/generation.h"
#include "process/channel.h"
#include "worker/stack_report.h"
#include "worker/worker.h"
#include "worker/worker_log.h"

#define SPAWN_TIMEOUT 5000 /* milliseconds; the master does nothing else meanwhile */

/* ---- in the fork server ---- */

static void answer_order(int channel, int32_t pid)
{
    channel_send(channel, &(struct channel_message){CHANNEL_SPAWNED, pid, -1}); /* if it fails, the master has died */
}

static void leave_to_master(int signum)
{
}

static void set_stop_signals(void (*handler)(int signum))
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};

    for (size_t i = 0; i < ARRAY_SIZE(stops); i++)
        own_signal(stops[i], &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART});
}

/* Fork the process in the middle, which forks the worker and tells the master its pid. */
static void spawn_worker(const struct generation *g, int channel, const struct channel_message *order)
{
    struct worker_job job = {&g->settings, g->mounts, &g->sockets, order->number, order->fd, true};
    pid_t middle = own_fork(), pid;

    if (middle < 0)
        answer_order(channel, -errno);
    else if (middle > 0)
        waitpid(middle, NULL, 0);
    if (middle != 0)
        return;
    pid = own_fork();
    if (pid == 0) {
        set_stop_signals(SIG_DFL);
        own_fd_end(channel);
        close(channel);
        exit(worker_run(&job));
    }
    answer_order(channel, pid < 0 ? -errno : pid);
    _exit(0);
}

static int serve_orders(const struct generation *g, int channel)
{
    struct channel_message order;

    set_stop_signals(leave_to_master); /* which may be sent to all processes; this one ends when its channel does */
    while ((order = channel_await(channel, -1)).kind != CHANNEL_END)
        if (order.kind == CHANNEL_SPAWN) {
            spawn_worker(g, channel, &order);
            close(order.fd);
        } else {
            worker_log_reopen(&order); /* the workers to come inherit the logs */
        }
    return EXIT_STOPPED;
}

/* Load the applications and serve. Returns the exit code of the process. */
static int fork_server_run(const struct generation *g, int channel)
{
    int err;

    own_init(NULL);
    own_fd(channel);
    stack_report_init(channel);
    fault_init();
    err = worker_prepare(&g->settings, &g->sockets);
    if (!err)
        err = mounts_preload(g->mounts);
    fault_init();
    if (err)
        return err == -ENOEXEC ? EXIT_APP : EXIT_BOOT;
    channel_send(channel, &(struct channel_message){CHANNEL_READY, 0, -1});
    return serve_orders(g, channel);
}

/* ---- in the master ---- */

struct fork_server *fork_server_start(const struct generation *g, void (*close_inherited)(void))
{
    struct fork_server *f;
    int ends[2], err = channel_open(ends);
    pid_t pid;

    if (err) {
        log_error("cannot create a channel to the fork server: %s", strerror(-err));
        return NULL;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        close_inherited();
        exit(fork_server_run(g, ends[1]));
    }
    err = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (err) {
        close(ends[0]);
        log_error("cannot start the fork server: %s", strerror(-err));
        return NULL;
    }
    f = xcalloc(1, sizeof(*f));
    *f = (struct fork_server){.pid = pid, .channel = ends[0]};
    life_begin(&f->life, "the fork server", pid, &g->settings.process);
    return f;
}

pid_t fork_server_spawn(struct fork_server *f, int number, int channel)
{
    int err = channel_send(f->channel, &(struct channel_message){CHANNEL_SPAWN, number, channel});
    struct channel_message answer = {0};

    if (!err)
        answer = channel_await(f->channel, SPAWN_TIMEOUT);
    if (answer.kind == CHANNEL_SPAWNED)
        return answer.number;
    f->ready = false;
    kill(f->pid, SIGKILL); /* or a late answer would be taken for that to the next order */
    return err ? err : -ETIMEDOUT;
}

void fork_server_stop(struct fork_server *f)
{
    life_end(&f->life);
    close(f->channel); /* which ends serve_orders */
    if (f->pid && !f->ready)
        kill(f->pid, SIGKILL); /* it loads the applications, and that may never end */
    free(f);
}
