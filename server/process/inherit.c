/*
 * inherit.c: listening sockets that this process was started with.
 *
 * A new binary finds those of its predecessor in an environment variable, a line for each: its descriptor, and the
 * address as the ini file writes it, by which it is found again even if the kernel chose the port. systemd passes its
 * sockets by LISTEN_PID and LISTEN_FDS (sd_listen_fds(3)), from descriptor 3 on; what a successor gets of those is
 * written the same way, with the predecessor's pid instead of its own.
 */
#include "process/inherit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/list.h"

#define SOCKETS      "SYNCLESS_SOCKETS"
#define PREDECESSOR  "SYNCLESS_PREDECESSOR"
#define FIRST_PASSED 3

struct inherited {
    struct list link;
    int fd;
    char *text;
};

static struct {
    struct list sockets;
    pid_t predecessor;
    int activated;
} inherit = {.sockets = LIST_INIT(inherit.sockets)};

static void close_on_exec(int fd, bool on)
{
    fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

static void read_sockets(char *list)
{
    for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
        struct inherited *in = xmalloc(sizeof(*in));
        char *text;

        in->fd = (int)strtol(line, &text, 10);
        in->text = xstrdup(*text ? text + 1 : text);
        close_on_exec(in->fd, true);
        list_push(&inherit.sockets, &in->link);
    }
}

static void read_activation(const char *pid, const char *count)
{
    if (!pid || !count || (atoi(pid) != getpid() && atoi(pid) != inherit.predecessor))
        return;
    inherit.activated = atoi(count);
    for (int i = 0; i < inherit.activated; i++)
        close_on_exec(FIRST_PASSED + i, true);
}

void inherit_init(void)
{
    char *sockets = getenv(SOCKETS), *predecessor = getenv(PREDECESSOR);

    if (predecessor && atoi(predecessor) == getppid())
        inherit.predecessor = getppid();
    if (inherit.predecessor && sockets) {
        sockets = xstrdup(sockets);
        read_sockets(sockets);
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

static int take(struct list *node)
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
    for (struct list *node = inherit.sockets.next; node != &inherit.sockets; node = node->next)
        if (!strcmp(list_entry(node, struct inherited, link)->text, text))
            return take(node);
    return -1;
}

int inherit_activated(void)
{
    return inherit.activated;
}

void inherit_close(void)
{
    while (!list_empty(&inherit.sockets))
        close(take(inherit.sockets.next));
}

void inherit_export(bool activated)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", (int)getppid()); /* we are the fork that is about to execute it */
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
    close_on_exec(fd, false);
}
