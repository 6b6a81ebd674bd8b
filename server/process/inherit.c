/*
 * inherit.c: listen sockets that this process was started with.
 *
 * An upgraded binary finds those of its predecessor in an environment variable, one line for each: the descriptor, and
 * the address as the ini file has it. By that text a socket is found again even if the kernel chose its port. systemd
 * passes its sockets with LISTEN_PID and LISTEN_FDS (sd_listen_fds(3)), from descriptor 3 on; an upgraded binary gets
 * these in the same way, with the predecessor's pid in place of its own.
 */
#include "process/inherit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/list.h"

#define SOCKETS     "SYNCLESS_SOCKETS"
#define PREDECESSOR "SYNCLESS_PREDECESSOR"

struct inherited {
    struct list link; /* in inherit.sockets */
    int fd;
    char *text; /* owned; the address as the ini file has it */
};

static struct {
    struct list sockets;
    pid_t predecessor; /* 0: none */
    int activated;     /* sockets of systemd */
} inherit = {.sockets = LIST_INIT(inherit.sockets)};

static void set_cloexec(int fd, bool on)
{
    fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

static void read_inherited(char *list)
{
    for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
        struct inherited *in = xmalloc(sizeof(*in));
        char *text;

        in->fd = (int)strtol(line, &text, 10);
        in->text = xstrdup(*text ? text + 1 : text);
        set_cloexec(in->fd, true);
        list_push(&inherit.sockets, &in->link);
    }
}

static void read_activation(const char *pid, const char *count)
{
    if (!pid || !count || (atoi(pid) != getpid() && atoi(pid) != inherit.predecessor))
        return;
    inherit.activated = atoi(count);
    for (int i = 0; i < inherit.activated; i++)
        set_cloexec(INHERIT_FIRST_FD + i, true);
}

void inherit_init(void)
{
    char *sockets = getenv(SOCKETS), *predecessor = getenv(PREDECESSOR);

    if (predecessor && atoi(predecessor) == getppid())
        inherit.predecessor = getppid();
    if (inherit.predecessor && sockets) {
        sockets = xstrdup(sockets);
        read_inherited(sockets);
        free(sockets);
    }
    read_activation(getenv("LISTEN_PID"), getenv("LISTEN_FDS"));
    unsetenv(SOCKETS);
    unsetenv(PREDECESSOR);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

pid_t inherit_predecessor(void)
{
    return inherit.predecessor;
}

/* Remove it from the list. Returns its descriptor. */
static int inherited_take(struct list *node)
{
    struct inherited *in = list_entry(node, struct inherited, link);
    int fd = in->fd;

    list_remove(node);
    free(in->text);
    free(in);
    return fd;
}

int inherit_take(const char *text)
{
    struct list *node;

    list_for_each (node, &inherit.sockets)
        if (!strcmp(list_entry(node, struct inherited, link)->text, text))
            return inherited_take(node);
    return -1;
}

int inherit_activated(void)
{
    return inherit.activated;
}

void inherit_close(void)
{
    while (!list_empty(&inherit.sockets))
        close(inherited_take(inherit.sockets.next));
}

void inherit_export(bool activated)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", (int)getppid()); /* we are a child of the predecessor */
    setenv(PREDECESSOR, number, 1);
    if (!activated)
        return;
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof(number), "%d", inherit.activated);
    setenv("LISTEN_FDS", number, 1);
}

void inherit_export_socket(const char *text, int fd)
{
    const char *before = getenv(SOCKETS);
    size_t size = (before ? strlen(before) : 0) + strlen(text) + 20;
    char *list = xmalloc(size);

    snprintf(list, size, "%s%d %s\n", before ? before : "", fd, text);
    setenv(SOCKETS, list, 1);
    free(list);
    set_cloexec(fd, false);
}
