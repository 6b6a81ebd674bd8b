/*
 * daemonize.c: go to the background.
 *
 * The process that was called stays until the server serves, so that a script which starts it sees whether it did. What
 * goes wrong before the logs are open is told on the terminal, the rest in the log, which the terminal is pointed to.
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

static int done_pipe = -1; /* to the process that waits */

static void to_null(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        log_die("cannot let go of the terminal: /dev/null: %m");
    dup3(null, fd, fd > STDERR_FILENO ? O_CLOEXEC : 0);
    close(null);
}

static int exit_code_of(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* In the process that was called: what to exit with. */
static int await_done(int pipe_fd, pid_t child, const char *log)
{
    char byte;
    int code;

    if (read(pipe_fd, &byte, 1) == 1)
        return 0;
    code = exit_code_of(child);
    fprintf(stderr, "syncless-server: the server did not start (exit code %d); its log is %s\n", code, log);
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
        done_pipe = pipe_fds[1];
        setsid();
        to_null(STDIN_FILENO);
        to_null(STDOUT_FILENO);
        return;
    }
    close(pipe_fds[1]);
    _exit(await_done(pipe_fds[0], child, log));
}

void daemonize_leave_stderr(void)
{
    int fd = log_original_stderr();
    struct stat st;

    if (done_pipe >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) /* a file that the caller chose may stay */
        to_null(fd);
}

void daemonize_done(void)
{
    if (done_pipe < 0)
        return;
    if (write(done_pipe, "", 1) < 0)
        log_warn("cannot tell the process that started the server that it runs: %m");
    daemonize_forget();
}

void daemonize_forget(void)
{
    if (done_pipe >= 0)
        close(done_pipe);
    done_pipe = -1;
}
