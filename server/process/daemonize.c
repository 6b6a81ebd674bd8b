/*
 * daemonize.c: run in the background.
 *
 * The original process stays until the server serves, so that a script that starts it sees whether it did. Failures
 * before the logs are open are reported on the terminal, later ones in the log; the original process then names it.
 */
#include "process/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/log.h"

static int ready_pipe = -1; /* to the original process */

static void redirect_to_null(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup3(null, fd, fd > STDERR_FILENO ? O_CLOEXEC : 0) < 0)
        log_die("cannot detach from the terminal: /dev/null: %m");
    close(null);
}

static int await_exit_code(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* In the original process: wait for the server to serve or to end. Returns the exit code. */
static int await_ready(int pipe_fd, pid_t child, const char *log)
{
    char byte;
    int code;

    if (read(pipe_fd, &byte, 1) == 1)
        return 0;
    code = await_exit_code(child);
    fprintf(stderr, "syncless-server: the server did not start (exit code %d); see the log %s\n", code, log);
    return code;
}

void daemonize(const char *log)
{
    int pipe_fds[2];
    pid_t child;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0 || (child = fork()) < 0)
        log_die("cannot go to the background: %m");
    if (child == 0) {
        close(pipe_fds[0]);
        ready_pipe = pipe_fds[1];
        setsid();
        redirect_to_null(STDIN_FILENO);
        redirect_to_null(STDOUT_FILENO);
        log_take_stdout();
        return;
    }
    close(pipe_fds[1]);
    _exit(await_ready(pipe_fds[0], child, log));
}

void daemonize_release_stderr(void)
{
    int fd = log_original_stderr();
    struct stat st;

    if (ready_pipe >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) /* the caller's own log file may stay */
        redirect_to_null(fd);
}

void daemonize_done(void)
{
    if (ready_pipe < 0)
        return;
    if (write(ready_pipe, "", 1) < 0)
        log_warn("cannot tell the original process that the server is ready: %m");
    daemonize_close();
}

void daemonize_close(void)
{
    if (ready_pipe >= 0)
        close(ready_pipe);
    ready_pipe = -1;
}
