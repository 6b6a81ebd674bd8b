/*
 * terminal.c: tcdrain, tcsetattr and tcsendbreak, which wait until a serial line has sent what was written.
 *
 * Nothing tells when it has, so a thread makes the call; tcsetattr only where there is something to be sent.
 */
#include <sys/ioctl.h>
#include <termios.h>

#include "base/real.h"
#include "libc/runtime/park.h"

struct terminal_call {
    int fd, argument; /* the duration of a break, or the action of tcsetattr */
    const struct termios *termios;
};

static bool terminal_may_wait(int fd)
{
    return coro_self() && isatty(fd) && park_possible();
}

static int terminal_wait(int (*run)(void *arg), struct terminal_call call)
{
    return park_end(wait_thread(run, &call), errno);
}

static int terminal_drain(void *arg)
{
    const struct terminal_call *call = arg;

    return real()->tcdrain(call->fd) < 0 ? -errno : 0;
}

int tcdrain(int fd)
{
    return terminal_may_wait(fd) ? terminal_wait(terminal_drain, (struct terminal_call){fd, 0, NULL})
                                 : real()->tcdrain(fd);
}

static int break_run(void *arg)
{
    const struct terminal_call *call = arg;

    return real()->tcsendbreak(call->fd, call->argument) < 0 ? -errno : 0;
}

int tcsendbreak(int fd, int duration)
{
    if (!terminal_may_wait(fd))
        return real()->tcsendbreak(fd, duration);
    return terminal_wait(break_run, (struct terminal_call){fd, duration, NULL});
}

static int set_run(void *arg)
{
    const struct terminal_call *call = arg;

    return real()->tcsetattr(call->fd, call->argument, call->termios) < 0 ? -errno : 0;
}

static bool terminal_has_unsent(int fd)
{
    int unsent = 0, saved = errno;

    if (ioctl(fd, TIOCOUTQ, &unsent) < 0)
        errno = saved;
    return unsent > 0;
}

int tcsetattr(int fd, int action, const struct termios *termios)
{
    if (action == TCSANOW || !coro_self() || !terminal_has_unsent(fd) || !park_possible())
        return real()->tcsetattr(fd, action, termios);
    return terminal_wait(set_run, (struct terminal_call){fd, action, termios});
}
