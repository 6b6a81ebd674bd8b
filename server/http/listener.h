/* listener.h: listening sockets. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "wait/wait.h"

struct listener {
    struct wait_source source;
    struct list link;
    char address[ADDRESS_TEXT_SIZE];           /* text: IP address or socket path */
    uint16_t port;                             /* 0 for a Unix socket */
    bool proxied;                              /* its connections begin with a PROXY header */
    bool closed;                               /* no connection of it serves another request */
    const char *scheme;                        /* of its requests: "http" or "https" */
    void *mount;                               /* whom they are for, if the routes do not say */
    size_t users;                              /* its connections, and who has opened it */
    void (*unused)(struct listener *listener); /* there are no users any more; or NULL */
};

/* Accept connections from a bound, listening, non-blocking socket, which stays the caller's. Holds the loop.
 * proxied: they begin with a PROXY header. */
struct listener *listener_open(int fd, bool proxied);

/* One for connections that somebody else accepts from such a socket and hands over by conn_open. */
struct listener *listener_make(int fd);

/* One user less. */
void listener_leave(struct listener *listener);

/* Accept who is already in the backlog, and then no more. The struct stays, since connections point at it. */
void listener_close(struct listener *listener);

#endif
