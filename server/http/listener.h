/* listener.h: listen sockets: accept connections and hand them over. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

#include "wait/wait.h"

struct listener;

struct listener_handler {
    /* Whether another connection may be accepted. sure: one waits in the backlog; else one may. */
    bool (*may_accept)(bool sure);

    /* Take over an accepted, non-blocking socket. */
    void (*accepted)(struct listener *listener, int fd, const struct sockaddr *peer);
};

struct listener {
    struct wait_source source; /* fd -1: closed */
    const struct listener_handler *handler;
};

/* Accept connections from a listening, non-blocking socket, which stays the caller's. Keeps the event loop running.
 * handler is borrowed. */
void listener_open(struct listener *listener, int fd, const struct listener_handler *handler);

/* Accept what is in the backlog already, and then no more. listener must stay for a moment: accepting may be paused. */
void listener_close(struct listener *listener);

#endif
