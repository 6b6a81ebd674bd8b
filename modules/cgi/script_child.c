/*
 * script_child.c: the process of a script, and the pipes to it.
 *
 * posix_spawn(3) is used and not fork(2): it is vfork inside, so its cost does not grow with the memory of a worker
 * that holds a Python application, and no coroutine is copied. The script starts like a program from a shell: as leader
 * of its own process group, which the timeout kills as a whole, with no signal blocked or ignored, in the directory of
 * its file, and without descriptors of the server other than the three pipes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgi.h"

/* The script's ends of the pipes. */
struct ends {
    int in, out, err;
};

void child_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int child_open_pipe(int *reader, int *writer)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *reader = fds[0];
    *writer = fds[1];
    return 0;
}

static int child_open_pipes(struct child *child, struct ends *ends, bool has_body)
{
    int err = 0;

    if (has_body)
        err = child_open_pipe(&ends->in, &child->in);
    if (!err)
        err = child_open_pipe(&child->out, &ends->out);
    if (!err)
        err = child_open_pipe(&child->err, &ends->err);
    return err;
}

static void child_close_all(struct child *child)
{
    child_close(&child->in);
    child_close(&child->out);
    child_close(&child->err);
    child_close(&child->exited);
}

/* Say what happens in the child before it becomes the script. Each entry takes memory: 0, or -errno. */
static int child_set_actions(posix_spawn_file_actions_t *actions, const struct script *script, const struct ends *ends)
{
    int err;

    if (ends->in >= 0)
        err = posix_spawn_file_actions_adddup2(actions, ends->in, 0);
    else
        err = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (!err)
        err = posix_spawn_file_actions_adddup2(actions, ends->out, 1);
    if (!err)
        err = posix_spawn_file_actions_adddup2(actions, ends->err, 2);
    if (!err)
        err = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (!err)
        err = posix_spawn_file_actions_addchdir_np(actions, script->dir);
    return -err;
}

static void child_set_attributes(posix_spawnattr_t *attr)
{
    sigset_t signals;

    posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(attr, 0);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(attr, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(attr, &signals);
}

static int child_spawn(struct child *child, const struct script *script, char *const *envp, const struct ends *ends)
{
    const char *program = script->interpreter ? script->interpreter : script->file;
    char *argv[] = {(char *)program, script->interpreter ? (char *)script->file : NULL, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int err;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    child_set_attributes(&attr);
    err = child_set_actions(&actions, script, ends);
    if (!err)
        err = -posix_spawn(&child->pid, program, &actions, &attr, argv, envp);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

int child_start(struct child *child, const struct script *script, char *const *envp, bool has_body)
{
    struct ends ends = {-1, -1, -1};
    int err;

    *child = (struct child){.in = -1, .out = -1, .err = -1, .exited = -1};
    err = child_open_pipes(child, &ends, has_body);
    if (!err)
        err = child_spawn(child, script, envp, &ends);
    child_close(&ends.in);
    child_close(&ends.out);
    child_close(&ends.err);
    if (err) {
        child_close_all(child);
        return err;
    }
    child->running = true;
    child->exited = pidfd_open(child->pid, 0); /* without it, as in sandboxes that forbid it, run.c polls */
    return 0;
}

bool child_has_ended(const struct child *child)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == child->pid;
}

void child_signal(const struct child *child, int signum)
{
    kill(-child->pid, signum);
}

void child_reap(struct child *child)
{
    while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
        ;
    child_close_all(child);
}
