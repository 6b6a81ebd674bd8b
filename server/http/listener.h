/* listener.h: listening sockets. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/list.h"
#include "wait/wait.h"

struct listener {
    struct wait_source source;
    struct list link;
    char address[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1]; /* text: IP address or socket path */
    uint16_t port;                                                    /* 0 for a Unix socket */
    bool proxied;                                                     /* its connections begin with a PROXY header */
    bool closed;                                                      /* no connection of it serves another request */
    const char *scheme;                                               /* of its requests: "http" or "https" */
    void *mount;                                                      /* whom they are for, if the routes do not say */
    size_t users;                                                     /* its connections, and who has opened it */
    void (*unused)(struct listener *listener);                        /* there are no users any more; or NULL */
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

/* The text of an address and its port: "192.0.2.1", "2001:db8::1", or the path of a Unix socket. size >= 110. */
void address_text(const struct sockaddr *address, char *text, size_t size, uint16_t *port);

#endif
