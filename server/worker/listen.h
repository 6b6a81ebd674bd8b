/* listen.h: the listening sockets, made by the master before it forks. */
#ifndef WORKER_LISTEN_H
#define WORKER_LISTEN_H

#include <stdbool.h>

#include "settings/settings.h"
#include "base/list.h"

struct listen_socket {
    struct list link; /* in the list of all */
    char *text;       /* the address as the ini file writes it, or of systemd */
    struct bind_address address;
    int fd;
    int users; /* configurations that serve it */
};

/* The sockets of one configuration: from here on they are open until listen_release. */
struct listen_set {
    struct listen_socket **sockets; /* owned; in the order of the settings' binds, or of systemd's */
    size_t count;
};

/* Bind and listen on every address of the settings, those that are open already stay. Returns 0, or -errno after a
 * message that names the address; then nothing has changed. */
int listen_acquire(const struct settings *settings, struct listen_set *list);

/* Let go of them: what no other configuration serves is closed, and the file of a Unix socket removed. */
void listen_release(struct listen_set *list);

/* From now on the files of Unix sockets stay where they are: another master serves them. */
void listen_keep_files(bool leave);

/* Close all sockets but those of the list, in a process that serves these only. */
void listen_close_others(const struct listen_set *list);

/* Hand all of them to a program that is about to be executed. */
void listen_export(void);

#endif
