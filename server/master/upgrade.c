/*
 * upgrade.c: start a new binary that takes over the listen sockets while this one still serves (SIGUSR2), as nginx
 * does.
 *
 * The new master is executed from the path of this one, with the same command line, and finds the listen sockets in its
 * environment. Both serve until the old one is told to QUIT, or the new one if it turns out to be bad. Until then the
 * old master keeps everything, so a new binary that cannot start has no effect.
 */
#include "master/upgrade.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/listen.h"
#include "log/log.h"
#include "metrics/metrics_table.h"
#include "process/inherit.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "wait/wait.h"

static struct {
    pid_t pid;           /* of the new master; 0: none */
    const char *pidfile; /* ours, which was renamed; NULL: none */
    int64_t began;       /* CLOCK_MONOTONIC ns; 0: it has started, or was given up */
} upgrade;

/* In the child. */
static void execute_binary(char **argv, const sigset_t *blocked)
{
    listen_export();
    if (metrics_file() >= 0)
        inherit_export_socket(METRICS_FILE, metrics_file());
    notify_export();
    sigprocmask(SIG_UNBLOCK, blocked, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    execvp(argv[0], argv);
    log_error("cannot execute %s: %m", argv[0]);
    _exit(127);
}

/* Whether the old binary of the last upgrade still runs, with its pidfile under the name that ours would get. */
static bool old_binary_runs(const char *path)
{
    pid_t old = inherit_predecessor();

    return path && old && old == getppid() && old == pidfile_read_aside(path);
}

static void set_pidfile_aside(const char *path)
{
    int err = path ? pidfile_set_aside(path) : 0;

    if (err)
        log_warn("cannot rename the pidfile %s to %s.oldbin: %s", path, path, strerror(-err));
    upgrade.pidfile = err ? NULL : path;
}

static void restore_pidfile(void)
{
    const char *path = upgrade.pidfile;
    int err = path ? pidfile_restore(path) : 0;

    if (err)
        log_warn("cannot rename the pidfile %s.oldbin to %s: %s", path, path, strerror(-err));
}

void upgrade_start(char **argv, const char *pidfile, const sigset_t *blocked)
{
    if (upgrade.pid) {
        log_warn("upgrade refused: a new binary is already running, pid %d", (int)upgrade.pid);
        return;
    }
    if (old_binary_runs(pidfile)) {
        log_warn("upgrade refused: the old binary is still running, pid %d; send QUIT to it first", (int)getppid());
        return;
    }
    set_pidfile_aside(pidfile);
    upgrade.pid = fork();
    if (upgrade.pid == 0)
        execute_binary(argv, blocked);
    if (upgrade.pid < 0) {
        log_error("cannot fork for the new binary: %m");
        restore_pidfile();
        upgrade.pid = 0;
        return;
    }
    upgrade.began = wait_now();
    log_info("started the new binary %s, pid %d; to complete the upgrade, send QUIT to %d", argv[0], (int)upgrade.pid,
             (int)getpid());
}

/* Whether a process has children; also if that cannot be told. */
static bool has_children(pid_t pid)
{
    char path[64];
    FILE *file;
    bool any;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    file = fopen(path, "re");
    if (!file)
        return true;
    any = getc(file) != EOF;
    fclose(file);
    return any;
}

int64_t upgrade_step(int64_t now, int64_t start_timeout)
{
    int64_t due = upgrade.began + start_timeout * 1000000;

    if (!upgrade.pid || !upgrade.began || !start_timeout)
        return WAIT_FOREVER;
    if (now < due)
        return due;
    upgrade.began = 0;
    if (has_children(upgrade.pid))
        return WAIT_FOREVER;
    log_error("the new binary, pid %d, has not started a worker within start-timeout: killing it", (int)upgrade.pid);
    kill(upgrade.pid, SIGKILL);
    return WAIT_FOREVER;
}

pid_t upgrade_pid(void)
{
    return upgrade.pid;
}

void upgrade_on_exit(pid_t pid, int status)
{
    if (!upgrade.pid || pid != upgrade.pid)
        return;
    log_error("the new binary ended (%s %d), this one continues", WIFEXITED(status) ? "exit code" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    restore_pidfile();
    upgrade.pid = 0;
}
