/*
 * ctl_session.c: a session with a worker, over the control socket: console and debug.
 *
 * Lines are edited by the terminal itself, so this needs no library and works over pipes as well. Ctrl-C becomes a byte
 * that the worker takes for it. Ctrl-D, or the end of a pipe, ends what is sent; what the worker has to say to that is
 * still printed.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/ctl_session.h"

static volatile sig_atomic_t interrupted;

bool ctl_is_session(const char *line)
{
    const char *command = strncmp(line, "json ", 5) ? line : line + 5;
    size_t size = strcspn(command, " ");

    return (size == 7 && !strncmp(command, "console", 7)) || (size == 5 && !strncmp(command, "debug", 5));
}

void ctl_disarm(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f)
            text[i] = '?';
}

static void on_ctrl_c(int signum)
{
    interrupted = 1;
}

/* It comes during the poll only, and ends it. *outside: the signals that are blocked there. */
static void catch_ctrl_c(sigset_t *outside)
{
    const struct sigaction action = {.sa_handler = on_ctrl_c};
    sigset_t interrupt;

    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, outside);
    sigaction(SIGINT, &action, NULL);
}

/* Returns whether the worker takes it. */
static bool send_text(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            text += n;
            size -= (size_t)n;
        }
    }
    return true;
}

/* Returns whether there may be more. */
static bool pass_input(int fd)
{
    char text[4096];
    ssize_t n = read(STDIN_FILENO, text, sizeof(text));

    if (n < 0)
        return errno == EINTR;
    if (n > 0)
        return send_text(fd, text, (size_t)n);
    shutdown(fd, SHUT_WR);
    return false;
}

static bool print_output(int fd)
{
    char text[65536];
    ssize_t n = recv(fd, text, sizeof(text), 0);

    if (n <= 0)
        return n < 0 && errno == EINTR;
    ctl_disarm(text, (size_t)n);
    return fwrite(text, 1, (size_t)n, stdout) == (size_t)n && fflush(stdout) == 0;
}

int ctl_session(int fd)
{
    struct pollfd polls[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    sigset_t outside;

    catch_ctrl_c(&outside);
    for (;;) {
        int count = ppoll(polls, 2, NULL, &outside);

        if (interrupted)
            send_text(fd, "\x03", 1);
        interrupted = 0;
        if (count < 0)
            continue;
        if (polls[0].revents && !print_output(fd))
            return ferror(stdout) ? EX_IOERR : 0;
        if (polls[1].revents && !pass_input(fd))
            polls[1].fd = -1;
    }
}
