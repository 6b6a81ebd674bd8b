/*
 * upgrade.c: a new binary that takes over the sockets while we still serve (SIGUSR2), as nginx does it.
 *
 * The new master is executed from the path of this one, with the same command line, and finds the listening sockets in
 * its environment. Both serve until the old one is told to QUIT, or the new one, if it is no good. Nothing is taken
 * from the old master before that, so a new binary that cannot start has no effect.
 */
#include "master/upgrade.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/listen.h"
#include "log/log.h"
#include "process/notify.h"
#include "process/pidfile.h"

static struct {
    pid_t pid;           /* 0: there is none */
    const char *pidfile; /* ours, set aside; NULL: none */
} upgrade;

static void execute(char **argv, const sigset_t *blocked)
{
    listen_export();
    notify_export();
    sigprocmask(SIG_UNBLOCK, blocked, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv);
    log_error("cannot execute %s: %m", argv[0]);
    _exit(127);
}

/* There is none: all is ours again. */
static void forget(void)
{
    if (upgrade.pidfile)
        pidfile_take_back(upgrade.pidfile);
    upgrade.pid = 0;
}

void upgrade_start(char **argv, const char *pidfile, const sigset_t *blocked)
{
    if (upgrade.pid) {
        log_warn("a new binary runs already, pid %d", (int)upgrade.pid);
        return;
    }
    if (pidfile)
        pidfile_set_aside(pidfile);
    upgrade.pidfile = pidfile;
    upgrade.pid = fork();
    if (upgrade.pid == 0)
        execute(argv, blocked);
    if (upgrade.pid < 0) {
        log_error("cannot fork for the new binary: %m");
        forget();
        return;
    }
    log_info("the new binary %s starts, pid %d; send QUIT to %d when it is good", argv[0], (int)upgrade.pid,
             (int)getpid());
}

pid_t upgrade_pid(void)
{
    return upgrade.pid;
}

void upgrade_on_exit(pid_t pid, int status)
{
    if (!upgrade.pid || pid != upgrade.pid)
        return;
    log_error("the new binary ended (%s %d): this one goes on", WIFEXITED(status) ? "exit code" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    forget();
}
