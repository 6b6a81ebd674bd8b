/*
 * inspect.c: what can be found out about a worker without its help, by /proc.
 *
 * A worker has the master's memory layout, since it was forked from it: what the master calls &coro_current is the same
 * variable in the worker. So the request that the worker is stuck in is read from its memory.
 *
 * Files in /proc belong to the user of the process. The master may be root without the capability to look at others
 * (CapabilityBoundingSet of the systemd unit; there ProtectProc hides them too). So it opens them as the worker's user.
 * That user can do nothing to the master meanwhile: what counts for signals and ptrace are the other user ids of it.
 */
#include "master/inspect.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "coro/coro.h"

static int open_proc(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* The changed ids must not stay, and root may always become root again. A process that changes them can no longer be
 * debugged, and neither could those that it forks (PR_SET_DUMPABLE). */
static void return_to_root(gid_t group, int dumpable)
{
    if (seteuid(0) < 0 || setegid(group) < 0)
        abort();
    prctl(PR_SET_DUMPABLE, dumpable);
}

/* Open both files as the user of the process; -1: cannot be opened. */
static void open_as_user(pid_t pid, const struct process_settings *settings, int *status, int *memory)
{
    bool changes = settings->user && geteuid() == 0;
    int dumpable = prctl(PR_GET_DUMPABLE);
    gid_t group = getegid();

    if (changes && (setegid(settings->gid) < 0 || seteuid(settings->uid) < 0))
        return_to_root(group, dumpable); /* and try it as root */
    *status = open_proc(pid, "status");
    *memory = open_proc(pid, "mem");
    if (changes)
        return_to_root(group, dumpable);
    if (changes && *memory < 0)
        *memory = open_proc(pid, "mem"); /* only root may, unless the process is dumpable */
}

static void read_status(int fd, struct inspection *found)
{
    char text[2048];
    ssize_t size = read(fd, text, sizeof(text) - 1);
    const char *state, *tracer;

    text[size > 0 ? size : 0] = '\0';
    state = strstr(text, "\nState:\t");
    tracer = strstr(text, "\nTracerPid:\t");
    if (state)
        found->state = state[strlen("\nState:\t")];
    if (tracer)
        found->tracer = atoi(tracer + strlen("\nTracerPid:\t"));
}

static bool read_memory(int fd, const void *address, void *to, size_t size)
{
    return pread(fd, to, size, (off_t)(uintptr_t)address) == (ssize_t)size;
}

/* Read coro_current->what of the process's main thread. */
static void read_what(int fd, struct inspection *found)
{
    const struct coro *co;
    const char *what;
    ssize_t size;

    if (!read_memory(fd, &coro_current, &co, sizeof(co)) || !co)
        return;
    if (!read_memory(fd, &co->what, &what, sizeof(what)) || !what)
        return;
    size = pread(fd, found->what, sizeof(found->what) - 1, (off_t)(uintptr_t)what);
    found->what[size > 0 ? size : 0] = '\0';
}

void inspect(pid_t pid, const struct process_settings *settings, struct inspection *found)
{
    int status, memory;

    *found = (struct inspection){.state = '?'};
    open_as_user(pid, settings, &status, &memory);
    if (status >= 0) {
        read_status(status, found);
        close(status);
    }
    if (memory >= 0) {
        read_what(memory, found);
        close(memory);
    }
}
