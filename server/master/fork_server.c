/*
 * fork_server.c: with `preload`, a process that has loaded the applications and forks workers.
 *
 * The master itself runs no code of applications: it stays root, and at a reload it could not load them a second time.
 * So one process in between loads them, with a worker's privileges, and forks workers when it is told to. To be the
 * master's children these are forked twice: the process in the middle ends at once, and who loses his parent gets the
 * nearest one that has asked for orphans (PR_SET_CHILD_SUBREAPER), which is the master. Memory that was filled before
 * the fork is shared by all workers.
 */
#include "master/fork_server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/exit_code.h"
#include "log/log.h"
#include "master/generation.h"
#include "process/channel.h"
#include "worker/worker.h"
#include "worker/worker_log.h"

#define SPAWN_WITHIN 5000 /* milliseconds, for which the master hears nothing else */

/* ---- in the nursery ---- */

static void run_worker(const struct generation *g, int number, int channel)
{
    struct worker_job job = {&g->settings, g->mounts, &g->sockets, number, channel, true};

    exit(worker_run(&job));
}

/* Fork the process in the middle, which forks the worker and tells the master its pid. */
static void spawn(const struct generation *g, int channel, const struct channel_message *order)
{
    pid_t middle = fork(), pid;

    if (middle != 0) {
        if (middle < 0)
            channel_send(channel, &(struct channel_message){CHANNEL_SPAWNED, -errno, -1});
        else
            waitpid(middle, NULL, 0);
        return;
    }
    pid = fork();
    if (pid == 0) {
        close(channel);
        run_worker(g, order->number, order->fd);
    }
    channel_send(channel, &(struct channel_message){CHANNEL_SPAWNED, pid < 0 ? -errno : pid, -1});
    _exit(0);
}

static int serve(const struct generation *g, int channel)
{
    struct channel_message order;

    for (;;) {
        order = channel_await(channel, -1);
        if (order.kind == CHANNEL_END)
            return EXIT_STOPPED;
        if (order.kind == CHANNEL_SPAWN) {
            spawn(g, channel, &order);
            close(order.fd);
        } else {
            worker_log_reopen(&order); /* for the workers that inherit them */
        }
    }
}

static int run(const struct generation *g, int channel)
{
    int err = worker_prepare(&g->settings, &g->sockets);

    if (!err)
        err = modules_preload(g->mounts);
    if (err)
        return err == -ENOEXEC ? EXIT_APP : EXIT_BOOT;
    channel_send(channel, &(struct channel_message){CHANNEL_READY, 0, -1});
    return serve(g, channel);
}

/* ---- in the master ---- */

struct fork_server *fork_server_start(const struct generation *g, void (*clean)(void))
{
    struct fork_server *n;
    int ends[2], err = channel_open(ends);
    pid_t pid;

    if (err) {
        log_error("cannot make a channel to the fork server: %s", strerror(-err));
        return NULL;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        clean();
        exit(run(g, ends[1]));
    }
    err = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (err) {
        close(ends[0]);
        log_error("cannot start the fork server: %s", strerror(-err));
        return NULL;
    }
    n = xcalloc(1, sizeof(*n));
    *n = (struct fork_server){.pid = pid, .channel = ends[0]};
    return n;
}

pid_t fork_server_spawn(struct fork_server *n, int number, int channel)
{
    int err = channel_send(n->channel, &(struct channel_message){CHANNEL_SPAWN, number, channel});
    struct channel_message answer = {0};

    if (!err)
        answer = channel_await(n->channel, SPAWN_WITHIN);
    if (answer.kind == CHANNEL_SPAWNED)
        return answer.number;
    n->ready = false;
    kill(n->pid, SIGKILL); /* or its late answer would be taken for that to the next order */
    return err ? err : -ETIMEDOUT;
}

void fork_server_stop(struct fork_server *n)
{
    close(n->channel); /* the end of its orders is the end of it */
    if (n->pid && !n->ready)
        kill(n->pid, SIGKILL); /* but it does not listen to any: it loads the applications, perhaps for ever */
    free(n);
}
