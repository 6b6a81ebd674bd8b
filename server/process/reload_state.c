/*
 * reload_state.c: what became of the last reload, as the master shows it to `-s reload`.
 *
 * A signal has no answer. So the master writes the state to a file in memory, and who may signal the master finds that
 * in /proc/PID/fd, by its name. There is nothing to configure and nothing to clean up, it works from other containers
 * and with User= of systemd, and a pid that now belongs to another program is told from a master.
 *
 * A reader may come in the middle of a write: it reads until two reads agree.
 */
#include "process/reload_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log/log.h"

#define NAME "syncless-master"

static struct {
    int fd; /* -1: there is none */
    struct reload_state state;
} shown = {.fd = -1};

/* ---- in the master ---- */

static void show_state(void)
{
    if (shown.fd >= 0 && pwrite(shown.fd, &shown.state, sizeof(shown.state), 0) < 0)
        log_warn("cannot write the result of a reload for -s reload: %m");
}

void reload_state_init(void)
{
    shown.fd = memfd_create(NAME, MFD_CLOEXEC);
    if (shown.fd < 0)
        log_warn("cannot create a file in memory, so -s reload will not know the result: %m");
    show_state();
}

void reload_state_close(void)
{
    if (shown.fd >= 0)
        close(shown.fd);
    shown.fd = -1;
}

void reload_state_begin(void)
{
    shown.state.begun++;
    show_state();
}

void reload_state_end(int exit_code, const char *reason)
{
    if (shown.state.ended == shown.state.begun)
        return;
    shown.state.ended = shown.state.begun;
    shown.state.exit_code = exit_code;
    snprintf(shown.state.reason, sizeof(shown.state.reason), "%s", exit_code ? reason : "");
    for (char *c = shown.state.reason; *c; c++) /* a line, as systemd wants it */
        if (*c == '\n')
            *c = ' ';
    show_state();
}

const char *reload_state_failure(void)
{
    return shown.state.exit_code ? shown.state.reason : NULL;
}

/* ---- in other processes ---- */

static bool is_state(int fds, const char *fd)
{
    static const char name[] = "/memfd:" NAME;
    char target[sizeof(name)];

    return readlinkat(fds, fd, target, sizeof(target)) == sizeof(target) && !memcmp(target, name, sizeof(name) - 1);
}

int reload_state_open(pid_t pid)
{
    struct dirent *entry;
    char path[32];
    int fd = -1;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? -ESRCH : -EACCES;
    while (fd < 0 && (entry = readdir(dir)))
        if (is_state(dirfd(dir), entry->d_name))
            fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
    closedir(dir);
    return fd < 0 ? -ENOENT : fd;
}

int reload_state_read(int fd, struct reload_state *state)
{
    struct reload_state again;

    do {
        if (pread(fd, state, sizeof(*state), 0) != sizeof(*state) ||
            pread(fd, &again, sizeof(again), 0) != sizeof(again))
            return -EIO;
    } while (memcmp(state, &again, sizeof(again)) != 0);
    return 0;
}
