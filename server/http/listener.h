/* listener.h: listen sockets: accept connections and hand them over. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "wait/wait.h"

struct listener;

struct listener_handler {
    /* Whether another connection may be accepted. sure: one waits in the backlog; else one may. */
    bool (*may_accept)(bool sure);

    /* There is no descriptor for another connection: close one that nobody waits for. Returns false if there is none.
     */
    bool (*make_room)(void);

    /* Take over an accepted, non-blocking socket. */
    void (*accepted)(struct listener *listener, int fd, const struct sockaddr *peer);
};

struct listener {
    struct wait_source source; /* fd -1: closed */
    const struct listener_handler *handler;
    bool paused;                             /* nothing is accepted for a moment */
    bool closing;                            /* what is in the backlog is the last */
    bool gone;                               /* the descriptor is no longer the socket's */
    void (*lost)(struct listener *listener); /* see listener_guard; NULL: it is not guarded */
    struct list guarded;                     /* in the list of those that are */
    uint64_t socket;                         /* if it is guarded: see share_socket */
};

/* Accept connections from a listening, non-blocking socket, which stays the caller's. Keeps the event loop running.
 * handler is borrowed. */
void listener_open(struct listener *listener, int fd, const struct listener_handler *handler);

/* For a socket that is the server's own and shared with other processes: with those that have joined too (share.h),
 * connections are shared evenly. Every second connections are accepted that no
 * process was woken for, since the one that was woken is stopped or has died. If application code has closed the
 * descriptor, lost is called, once. */
void listener_guard(struct listener *listener, void (*lost)(struct listener *listener));

/* Returns the guarded listener with that share_socket, or NULL. */
struct listener *listener_find(uint64_t socket);

/* Accept from all guarded listeners what is there. */
void listeners_look(void);

/* Accept what is in the backlog already, and then no more. listener must stay for a moment: accepting may be paused. */
void listener_close(struct listener *listener);

#endif
