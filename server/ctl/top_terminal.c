/*
 * top_terminal.c: the terminal, while a program has all of it.
 *
 * Keys come one by one and are not shown; what was on the screen comes back at the end, whatever that is: exit, a
 * message of ctl_fail, or a signal. Signals are let in only while the program waits, so that none is lost between a
 * look and the wait, and the handler has only to note them. After Ctrl-Z the terminal is the shell's until the program
 * goes on.
 */
#include "ctl/top_terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define TAKE      "\033[?1049h\033[?25l\033[H\033[J" /* the other screen, no cursor, and nothing on it */
#define GIVE_BACK "\033[m\033[?25h\033[?1049l"

static struct {
    struct termios before;
    bool taken;
    sigset_t while_waiting;
} terminal;

static volatile sig_atomic_t resized, ended, stopped;

static void on_terminal_signal(int signum)
{
    if (signum == SIGWINCH)
        resized = 1;
    else if (signum == SIGTSTP)
        stopped = 1;
    else
        ended = 1;
}

/* Have these signals noted, only while the program waits. */
static void catch_signals(void)
{
    static const int signals[] = {SIGWINCH, SIGTSTP, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = on_terminal_signal};
    sigset_t blocked;

    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        sigaction(signals[i], &action, NULL);
        sigaddset(&blocked, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, &terminal.while_waiting);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigdelset(&terminal.while_waiting, signals[i]);
}

bool terminal_write(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, text, size);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            text += n;
            size -= (size_t)n;
        }
    }
    return true;
}

void terminal_give_back(void)
{
    if (!terminal.taken)
        return;
    terminal.taken = false;
    terminal_write(GIVE_BACK, strlen(GIVE_BACK));
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal.before);
}

static void set_terminal(void)
{
    struct termios raw = terminal.before;

    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* ISIG stays: Ctrl-C and Ctrl-Z are signals */
    raw.c_iflag &= ~(tcflag_t)IXON;            /* Ctrl-S does not stop the screen */
    raw.c_oflag &= ~(tcflag_t)OPOST;
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) < 0)
        ctl_fail(EX_OSERR, "cannot set the terminal: %s", strerror(errno));
    terminal.taken = true;
    terminal_write(TAKE, strlen(TAKE));
}

void terminal_take(void)
{
    const char *name = getenv("TERM");

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal.before) < 0)
        ctl_fail(EX_USAGE, "top needs a terminal: in scripts, use status and requests, with -j");
    if (!name || !*name || !strcmp(name, "dumb"))
        ctl_fail(EX_USAGE, "top needs a terminal that can move its cursor: $TERM is %s",
                 name && *name ? name : "not set");
    atexit(terminal_give_back);
    catch_signals();
    set_terminal();
}

/* Ctrl-Z: the shell goes on, and then we do. */
static void stop_for_shell(void)
{
    stopped = 0;
    terminal_give_back();
    raise(SIGSTOP);
    set_terminal();
    resized = 1;
}

static enum terminal_event read_key(char *key)
{
    ssize_t n = read(STDIN_FILENO, key, 1);

    if (n == 1)
        return TERMINAL_KEY;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? TERMINAL_NOTHING : TERMINAL_END;
}

enum terminal_event terminal_await(struct pollfd *polls, size_t count, int milliseconds, char *key)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    int ready;

    polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    ready = ppoll(polls, count, &time, &terminal.while_waiting);
    if (stopped)
        stop_for_shell();
    if (ended)
        return TERMINAL_END;
    if (resized) {
        resized = 0;
        return TERMINAL_RESIZED;
    }
    return ready > 0 && polls[0].revents ? read_key(key) : TERMINAL_NOTHING;
}

void terminal_get_size(int *rows, int *columns)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;

    *rows = known ? size.ws_row : 24;
    *columns = known ? size.ws_col : 80;
}
