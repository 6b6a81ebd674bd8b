/*
 * signal_server.c: -s, a signal to the running server.
 *
 * A pidfile may be older than the machine's last start, and its pid another program's by now, which a SIGHUP would end.
 * So a process is only believed to be the server if it shows what masters show (process/reload_state.c), or is called
 * as the server is: a master that an earlier version has started shows nothing.
 *
 * At a reload the result is waited for. There is no timeout here: start-timeout of the server ends it.
 */
#include "main/signal_server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "main/program_error.h"
#include "process/pidfile.h"
#include "process/reload_state.h"

#define LOOK_EVERY 20 /* milliseconds between looks at the state of a reload */

__attribute__((format(printf, 1, 2))) static int signal_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    program_error(fmt, ap);
    va_end(ap);
    return EXIT_RUNTIME;
}

/* Whether the process was started as syncless-server. */
static bool is_called_syncless(pid_t pid)
{
    char path[32], name[256] = "";
    const char *slash;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (read(fd, name, sizeof(name) - 1) < 0)
        *name = '\0';
    close(fd);
    slash = strrchr(name, '/');
    return !strncmp(slash ? slash + 1 : name, "syncless", 8);
}

/* Wait until a reload that began after that many others has ended. Returns the exit code. */
static int await_reload(pid_t pid, int fd, uint32_t others)
{
    struct timespec pause = {0, LOOK_EVERY * 1000000};
    struct reload_state state;

    do {
        nanosleep(&pause, NULL);
        if (reload_state_read(fd, &state))
            return signal_error("cannot read the result of the reload");
        if (state.ended <= others && kill(pid, 0) < 0 && errno == ESRCH)
            return signal_error("the server has ended during the reload: its log says why");
    } while (state.ended <= others);
    if (state.exit_code)
        signal_error("the reload failed, and the server goes on as before: %s", state.reason);
    return state.exit_code;
}

/* fd: of the state that the master shows, or -1. */
static int send_signal(pid_t pid, int fd, int signum)
{
    struct reload_state before = {0};

    if (fd >= 0 && reload_state_read(fd, &before))
        fd = -1;
    if (kill(pid, signum) < 0)
        return signal_error("cannot signal the server: %s", strerror(errno));
    if (signum != SIGHUP)
        return EXIT_STOPPED;
    if (fd >= 0)
        return await_reload(pid, fd, before.begun);
    fputs("syncless-server: the reload has begun; its result is in the log, since this server does not show it\n",
          stderr);
    return EXIT_STOPPED;
}

/* Returns a descriptor of what the master shows, or -1 if it shows nothing, which is no failure; or -ESRCH, after a
 * message. name is that of the pidfile or of the pid. */
static int find_server(pid_t pid, const char *name)
{
    int fd = pid > 0 ? reload_state_open(pid) : pid;

    if (fd >= 0)
        return fd;
    if (pid == -EINVAL)
        signal_error("no server found by %s: there is no pid in it", name);
    else if (pid < 0 || fd == -ESRCH)
        signal_error("no server found by %s: %s", name, strerror(-fd));
    else if (!is_called_syncless(pid))
        signal_error("no server found by %s: process %d is another program", name, (int)pid);
    else
        return -1;
    return -ESRCH;
}

int signal_server(pid_t pid, const char *pidfile, int signum)
{
    char name[PATH_MAX + 20];
    int fd, code;

    if (!pid && !pidfile) {
        fputs("syncless-server: -s finds the server by its pidfile: set \"pidfile\" in [server], or write --to PID\n",
              stderr);
        return EXIT_USAGE;
    }
    if (pid)
        snprintf(name, sizeof(name), "--to %d", (int)pid);
    else
        snprintf(name, sizeof(name), "its pidfile %s", pidfile);
    if (!pid)
        pid = pidfile_read(pidfile);
    fd = find_server(pid, name);
    if (fd == -ESRCH)
        return EXIT_RUNTIME;
    code = send_signal(pid, fd, signum);
    if (fd >= 0)
        close(fd);
    return code;
}
