/* listen.h: the listen sockets, which the master opens before it forks. */
#ifndef WORKER_LISTEN_H
#define WORKER_LISTEN_H

#include <stdbool.h>

#include "settings/settings.h"
#include "base/list.h"

struct listen_socket {
    struct list link;            /* in the list of all that are open */
    char *text;                  /* owned; the address as the ini file has it, or systemd:N */
    struct bind_address address; /* its size is 0 for a socket of systemd */
    int fd;
    int users;    /* configurations that use it */
    dev_t device; /* of the file that was made for a Unix socket; so is the inode */
    ino_t inode;
    bool lost; /* that file is gone, so no client reaches the socket any more */
};

/* The listen sockets of one configuration: open from listen_acquire to listen_release. */
struct listen_set {
    struct listen_socket **sockets; /* owned; in the order of the settings' binds, or of systemd's sockets */
    size_t count;
};

/* Bind and listen on every address of the settings; sockets that are open already are shared. Returns 0, or -errno
 * after a message that names the address; then nothing has changed and the set is empty. */
int listen_acquire(const struct settings *settings, struct listen_set *set);

/* Find out, without a change to anything, whether a server could listen on the address; that another one does is no
 * failure, and the directory of a Unix socket is not looked at. Returns 0 or -errno with what to do about it. */
int listen_check(const struct bind_address *address, const char **advice);

/* Empty the set: a socket that no other configuration uses is closed, and the file of a Unix socket removed. */
void listen_release(struct listen_set *set);

/* Whether the files of Unix sockets are left alone from now on, because another master serves them. */
void listen_keep_files(bool keep);

/* Stop listening on all sockets, in all processes that have them. Connections that wait in their backlogs are given to
 * pass, which does not own fd; those that come from now on are refused. Not for sockets that others go on to serve. */
void listen_stop(void (*pass)(const struct listen_socket *s, int fd));

/* Returns the number of the socket in the set, or -1. */
int listen_number(const struct listen_set *set, const struct listen_socket *s);

/* Close all sockets but those of the set, in a process that serves only these. */
void listen_close_others(const struct listen_set *set);

/* Pass all sockets to the new binary that this process is about to execute. */
void listen_export(void);

#endif
