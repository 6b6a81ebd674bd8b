/* listen.h: the listening sockets, made by the master before it forks. */
#ifndef BIND_H
#define BIND_H

#include <stdbool.h>

#include "settings/settings.h"
#include "base/list.h"

struct bound {
    struct list link; /* in the list of all */
    char *text;       /* the address as the ini file writes it, or of systemd */
    struct bind_address address;
    int fd;
    int users; /* configurations that serve it */
};

/* The sockets of one configuration: from here on they are open until bind_drop. */
struct bound_list {
    struct bound **sockets; /* owned; in the order of the settings' binds, or of systemd's */
    size_t count;
};

/* Bind and listen on every address of the settings, those that are open already stay. Returns 0, or -errno after a
 * message that names the address; then nothing has changed. */
int bind_acquire(const struct settings *settings, struct bound_list *list);

/* Let go of them: what no other configuration serves is closed, and the file of a Unix socket removed. */
void bind_drop(struct bound_list *list);

/* From now on the files of Unix sockets stay where they are: another master serves them. */
void bind_leave_files(bool leave);

/* Close all sockets but those of the list, in a process that serves these only. */
void bind_close_others(const struct bound_list *list);

/* Hand all of them to a program that is about to be executed. */
void bind_export(void);

#endif
