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
} successor;

static void execute(char **argv, const sigset_t *blocked)
{
    bind_export();
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
    if (successor.pidfile)
        pidfile_take_back(successor.pidfile);
    successor.pid = 0;
}

void successor_start(char **argv, const char *pidfile, const sigset_t *blocked)
{
    if (successor.pid) {
        log_warn("a new binary runs already, pid %d", (int)successor.pid);
        return;
    }
    if (pidfile)
        pidfile_set_aside(pidfile);
    successor.pidfile = pidfile;
    successor.pid = fork();
    if (successor.pid == 0)
        execute(argv, blocked);
    if (successor.pid < 0) {
        log_error("cannot fork for the new binary: %m");
        forget();
        return;
    }
    log_info("the new binary %s starts, pid %d; send QUIT to %d when it is good", argv[0], (int)successor.pid,
             (int)getpid());
}

pid_t successor_pid(void)
{
    return successor.pid;
}

void successor_on_death(pid_t pid, int status)
{
    if (!successor.pid || pid != successor.pid)
        return;
    log_error("the new binary ended (%s %d): this one goes on", WIFEXITED(status) ? "exit code" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    forget();
}
