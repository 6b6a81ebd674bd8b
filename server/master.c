/*
 * master.c: the process that keeps workers running.
 *
 * It holds the listening sockets and does nothing else but wait for signals, for the time at which a dead worker is to
 * be started again, and for the byte with which a worker says that it serves. It has no event loop and no threads, so
 * that what it forks is clean: signals are blocked and read from a signalfd, next to the workers' pipe, by one poll.
 *
 * A worker that dies is replaced at once, if it lived for a while; one that dies young is replaced with growing delays.
 * If workers cannot even start for the first time, the server gives up and says so with its exit code.
 */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/access.h"
#include "arena.h"
#include "bind.h"
#include "exit_code.h"
#include "log.h"
#include "wait/wait.h"
#include "worker.h"

#define SECOND      INT64_C(1000000000)
#define FIRST_DELAY (SECOND / 10)
#define LAST_DELAY  (10 * SECOND)
#define YOUNG       (5 * SECOND) /* a worker that dies before this age is started again with a delay */
#define KILL_AFTER  (2 * SECOND) /* after shutdown-timeout, workers that still live are killed */

struct slot {
    pid_t pid; /* 0: not running */
    bool ready;
    int pipe; /* it writes a byte when it is ready */
    int64_t born;
    int64_t delay; /* before its next start */
    int64_t due;   /* when to start it again */
};

static struct {
    const struct settings *settings;
    struct mount *mounts;
    int *fds;
    struct slot *slots;
    struct pollfd *polls; /* the signalfd, then a pipe for each slot */
    size_t count;         /* of slots */
    sigset_t signals;
    bool was_ready; /* some worker has served */
    bool stopping;
    int64_t kill_at;
    int exit_code;
} master;

/* ---- workers ---- */

static void run_worker(int number, int ready_fd)
{
    int code;

    sigprocmask(SIG_UNBLOCK, &master.signals, NULL);
    for (size_t i = 0; i <= master.count; i++)
        if (master.polls[i].fd >= 0)
            close(master.polls[i].fd);
    code = worker_run(master.settings, master.mounts, master.fds, number, ready_fd);
    exit(code);
}

static void start_worker(struct slot *slot)
{
    int number = (int)(slot - master.slots) + 1, pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        log_die("cannot make a pipe for worker %d: %m", number);
    slot->pid = fork();
    if (slot->pid < 0) {
        log_error("cannot fork worker %d: %m", number);
        slot->pid = 0;
        slot->due = wait_now() + SECOND;
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return;
    }
    if (slot->pid == 0) {
        close(pipe_fds[0]);
        run_worker(number, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    slot->born = wait_now();
    slot->ready = false;
    slot->pipe = pipe_fds[0];
}

static void signal_workers(int signum)
{
    for (size_t i = 0; i < master.count; i++)
        if (master.slots[i].pid)
            kill(master.slots[i].pid, signum);
}

static void stop(int signum)
{
    int64_t patience = signum == SIGINT ? 0 : master.settings->shutdown_timeout * 1000000;

    if (!master.stopping)
        log_info("%s: stopping", signum == SIGINT ? "SIGINT" : signum == SIGTERM ? "SIGTERM" : "SIGQUIT");
    if (master.stopping && signum != SIGINT)
        signum = SIGINT; /* the second time: now */
    if (signum == SIGINT)
        patience = 0;
    master.stopping = true;
    master.kill_at = wait_now() + patience + KILL_AFTER;
    signal_workers(signum);
}

/* ---- deaths ---- */

static void log_death(int number, pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_error("worker %d (pid %d) was killed by signal %d (%s)", number, (int)pid, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        log_error("worker %d (pid %d) ended with exit code %d", number, (int)pid, WEXITSTATUS(status));
    else if (!master.stopping)
        log_warn("worker %d (pid %d) ended by itself", number, (int)pid);
}

static void plan_restart(struct slot *slot)
{
    int64_t now = wait_now();

    if (now - slot->born > YOUNG)
        slot->delay = 0;
    slot->due = now + slot->delay;
    if (slot->delay)
        log_info("worker %d is started again in %lld ms", (int)(slot - master.slots) + 1,
                 (long long)(slot->delay / 1000000));
    slot->delay = slot->delay ? 2 * slot->delay : FIRST_DELAY;
    if (slot->delay > LAST_DELAY)
        slot->delay = LAST_DELAY;
}

/* A worker that fails before any has served will fail again: give up. */
static void give_up(int status)
{
    master.exit_code = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_APP ? EXIT_APP : EXIT_BOOT;
    log_error("the workers cannot start: giving up with exit code %d", master.exit_code);
    stop(SIGINT);
}

static void on_death(struct slot *slot, int status)
{
    bool was_ready = slot->ready;

    log_death((int)(slot - master.slots) + 1, slot->pid, status);
    slot->pid = 0;
    if (slot->pipe >= 0)
        close(slot->pipe);
    slot->pipe = -1;
    if (master.stopping)
        return;
    if (!was_ready && !master.was_ready)
        give_up(status);
    else
        plan_restart(slot);
}

/* Reap every child that ended; as process 1 of a container also those of others. */
static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < master.count; i++)
            if (master.slots[i].pid == pid)
                on_death(&master.slots[i], status);
}

/* ---- the loop ---- */

static void on_signal(int signal_fd)
{
    struct signalfd_siginfo info;

    while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            continue; /* reap looks at all of them */
        stop((int)info.ssi_signo);
    }
}

static void on_pipe(struct slot *slot)
{
    char byte;

    if (read(slot->pipe, &byte, 1) == 1)
        slot->ready = master.was_ready = true;
    close(slot->pipe);
    slot->pipe = -1;
}

static bool any_alive(void)
{
    for (size_t i = 0; i < master.count; i++)
        if (master.slots[i].pid)
            return true;
    return false;
}

/* Start what is due, kill what is overdue; returns the time until the next such moment in ms, or -1. */
static int attend(void)
{
    int64_t now = wait_now(), next = WAIT_FOREVER;

    if (master.stopping) {
        if (now >= master.kill_at)
            signal_workers(SIGKILL);
        next = now >= master.kill_at ? now + SECOND : master.kill_at;
    }
    for (size_t i = 0; i < master.count && !master.stopping; i++) {
        struct slot *slot = &master.slots[i];

        if (!slot->pid && slot->due <= now)
            start_worker(slot);
        if (!slot->pid && slot->due < next)
            next = slot->due;
    }
    return next == WAIT_FOREVER ? -1 : (int)((next - now + 999999) / 1000000);
}

static void wait_for_events(int timeout)
{
    for (size_t i = 0; i < master.count; i++)
        master.polls[i + 1] = (struct pollfd){.fd = master.slots[i].pipe, .events = POLLIN};
    if (poll(master.polls, master.count + 1, timeout) < 0)
        return;
    for (size_t i = 0; i < master.count; i++)
        if (master.polls[i + 1].revents)
            on_pipe(&master.slots[i]);
    if (master.polls[0].revents)
        on_signal(master.polls[0].fd);
    reap();
}

static int open_signals(void)
{
    int fd;

    sigemptyset(&master.signals);
    sigaddset(&master.signals, SIGCHLD);
    sigaddset(&master.signals, SIGTERM);
    sigaddset(&master.signals, SIGINT);
    sigaddset(&master.signals, SIGQUIT);
    sigprocmask(SIG_BLOCK, &master.signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads is no reason to end */
    fd = signalfd(-1, &master.signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        log_die("cannot make a signalfd: %m");
    return fd;
}

static void init(const struct settings *settings, struct mount *mounts, int *fds)
{
    master.settings = settings;
    master.mounts = mounts;
    master.fds = fds;
    master.count = (size_t)settings->workers;
    master.slots = xcalloc(master.count, sizeof(*master.slots));
    master.polls = xcalloc(master.count + 1, sizeof(*master.polls));
    for (size_t i = 0; i < master.count; i++) {
        master.slots[i].pipe = -1;
        master.polls[i + 1].fd = -1;
    }
    master.polls[0] = (struct pollfd){.fd = open_signals(), .events = POLLIN};
}

static int open_logs(const struct settings *settings)
{
    const struct log_settings *log = &settings->log;
    int err = log_open(log->error_log);

    if (err)
        log_error("cannot write the error log %s: %s", log->error_log, strerror(-err));
    else if (log->access_log && (err = access_open(log->access_log, log->format)))
        log_error("cannot write the access log %s: %s", log->access_log, strerror(-err));
    return err;
}

static void run(void)
{
    for (;;) {
        int timeout = attend();

        if (master.stopping && !any_alive())
            return;
        wait_for_events(timeout);
    }
}

int master_run(const struct settings *settings, struct mount *mounts)
{
    int *fds = xcalloc(settings->bind_count, sizeof(*fds));

    log_init((enum log_level)settings->log.level, 0);
    if (open_logs(settings) < 0) {
        free(fds);
        return EXIT_RUNTIME;
    }
    init(settings, mounts, fds); /* first: who reads that we listen may send a signal */
    if (bind_all(settings, fds) < 0) {
        master.exit_code = EXIT_RUNTIME;
    } else {
        run();
        bind_release(settings, fds);
        log_info("stopped");
    }
    free(master.slots);
    free(master.polls);
    free(fds);
    return master.exit_code;
}
