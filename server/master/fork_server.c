/*
 * fork_server.c: with `preload`, a process that has loaded the applications and forks the workers.
 *
 * The master itself runs no code of applications: it stays root, and could not load them a second time at a reload. So
 * a process in between loads them, with the privileges of a worker, and forks workers when the master asks. Workers
 * share the memory that was filled before the fork.
 *
 * To be children of the master, workers are forked twice: the process in the middle ends at once, and its orphan goes
 * to the nearest ancestor that has asked for orphans (PR_SET_CHILD_SUBREAPER), the master.
 *
 * The fork server has given up root and runs code of applications, so the master believes nothing that it says about
 * pids, to which root would send signals. The kernel says who is at the other end of a worker's channel, and whether
 * that is a child of ours.
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
#include "wait/wait.h"
#include "worker/stack_report.h"
#include "worker/worker.h"
#include "worker/worker_log.h"

#define SPAWN_TIMEOUT 5000                /* milliseconds; the master does nothing else meanwhile */
#define END_TIME      INT64_C(2000000000) /* nanoseconds that one has to end, before it is killed */

/* ---- in the fork server ---- */

/* If it fails, the master has died. */
static void say_spawned(int channel, int err)
{
    channel_send(channel, &(struct channel_message){CHANNEL_SPAWNED, err, -1});
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

/* The worker tells the master its pid itself: the kernel adds it to the message. */
static void run_worker(const struct generation *g, int channel, const struct channel_message *order)
{
    struct worker_job job = {&g->settings, g->mounts, &g->sockets, order->number, order->fd, true};

    say_spawned(order->fd, 0);
    set_stop_signals(SIG_DFL);
    own_fd_end(channel);
    close(channel);
    exit(worker_run(&job));
}

/* The process in the middle: its exit code is an errno, or 0. */
static void fork_and_leave(const struct generation *g, int channel, const struct channel_message *order)
{
    pid_t pid = own_fork();

    if (pid == 0)
        run_worker(g, channel, order);
    _exit(pid < 0 ? errno : 0);
}

/* Fork a worker. When the master is answered it is the worker's parent. */
static void spawn_worker(const struct generation *g, int channel, const struct channel_message *order)
{
    pid_t middle = own_fork();
    int status = 0, err = middle < 0 ? -errno : 0;

    if (middle == 0)
        fork_and_leave(g, channel, order);
    if (middle > 0 && waitpid(middle, &status, 0) == middle)
        err = WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
    say_spawned(channel, err);
}

static int serve_orders(const struct generation *g, int channel)
{
    struct channel_message order;

    set_stop_signals(leave_to_master); /* which may be sent to all processes; this one ends when its channel does */
    for (;;) {
        channel_wait(channel, -1);
        order = channel_receive(channel);
        if (order.kind == CHANNEL_END)
            return EXIT_STOPPED;
        if (order.kind == CHANNEL_SPAWN) {
            spawn_worker(g, channel, &order);
            close(order.fd);
        } else {
            worker_log_reopen(&order); /* the workers to come inherit the logs */
        }
    }
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

static struct list fork_servers = LIST_INIT(fork_servers); /* that have not been reaped */

static bool is_fork_server(pid_t pid)
{
    struct list *node;

    list_for_each (node, &fork_servers)
        if (list_entry(node, struct fork_server, link)->pid == pid)
            return true;
    return false;
}

static void fork_server_free(struct fork_server *f)
{
    list_remove(&f->link);
    free(f);
}

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
    *f = (struct fork_server){.pid = pid, .channel = ends[0], .kill_at = WAIT_FOREVER};
    list_push(&fork_servers, &f->link);
    life_begin(&f->life, "the fork server", pid, &g->settings.process);
    return f;
}

/* Whether it is a child of ours. */
static bool is_child(pid_t pid)
{
    siginfo_t info;

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Give the order. Returns 0 when it has been carried out, or -errno; -EPROTO: it answers something else. */
static int give_order(const struct fork_server *f, int number, int channel)
{
    int err = channel_send(f->channel, &(struct channel_message){CHANNEL_SPAWN, number, channel});
    struct channel_message answer;

    if (err)
        return err == -EAGAIN ? -ETIMEDOUT : err; /* it does not read */
    channel_wait(f->channel, SPAWN_TIMEOUT);
    answer = channel_hear(f->channel);
    if (answer.kind == CHANNEL_NONE)
        return -ETIMEDOUT;
    return answer.kind == CHANNEL_SPAWNED && answer.number <= 0 ? answer.number : -EPROTO;
}

/* Returns the pid of the process that has got the other end of the channel, or -errno. */
static pid_t find_spawned(int channel, bool (*is_known)(pid_t pid))
{
    pid_t pid = channel_await_sender(channel, SPAWN_TIMEOUT);

    if (pid > 0 && (!is_child(pid) || is_fork_server(pid) || is_known(pid))) {
        log_error("the fork server gives process %d for a worker, which is none", (int)pid);
        return -EPROTO;
    }
    return pid;
}

pid_t fork_server_spawn(struct fork_server *f, int number, int ends[2], bool (*is_known)(pid_t pid))
{
    int err = channel_show_senders(ends[0]);
    pid_t pid;

    if (!err)
        err = give_order(f, number, ends[1]);
    close(ends[1]);
    pid = err ? err : find_spawned(ends[0], is_known);
    if (pid > 0 || pid == -EAGAIN || pid == -ENOMEM) /* the latter two: it could not fork */
        return pid;
    f->ready = false;
    kill(f->pid, SIGKILL); /* or a late answer would be taken for that to the next order */
    return pid;
}

/* ---- its end ---- */

void fork_server_stop(struct fork_server *f)
{
    life_end(&f->life);
    close(f->channel); /* which ends serve_orders */
    if (f->pid && !f->ready)
        kill(f->pid, SIGKILL); /* it loads the applications, and that may never end */
    f->channel = -1;
    f->kill_at = wait_now() + END_TIME;
    if (!f->pid)
        fork_server_free(f);
}

bool fork_server_on_exit(pid_t pid)
{
    struct list *node;

    list_for_each (node, &fork_servers) {
        struct fork_server *f = list_entry(node, struct fork_server, link);

        if (f->pid != pid || f->channel >= 0)
            continue;
        fork_server_free(f);
        return true;
    }
    return false;
}

int64_t fork_servers_kill_overdue(int64_t now)
{
    int64_t next = WAIT_FOREVER;
    struct list *node;

    list_for_each (node, &fork_servers) {
        struct fork_server *f = list_entry(node, struct fork_server, link);

        if (f->kill_at <= now) {
            kill(f->pid, SIGKILL);
            f->kill_at = now + END_TIME;
        }
        next = min_int64(next, f->kill_at);
    }
    return next;
}

bool fork_servers_are_left(void)
{
    return !list_empty(&fork_servers);
}
