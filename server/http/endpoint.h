/* endpoint.h: an address that clients connect to, and who answers there: what its connections have in common. */
#ifndef HTTP_ENDPOINT_H
#define HTTP_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "http/listener.h"

struct endpoint {
    struct listener listener;
    char address[ADDRESS_TEXT_SIZE]; /* see address_text */
    bool wildcard;                   /* connections come in on any of the host's addresses */
    uint16_t port;                   /* 0 for a Unix socket */
    bool proxied;                    /* its connections begin with a PROXY header */
    bool closed;                     /* its connections serve no further request */
    const char *scheme;              /* of its requests: "http" or "https" */
    void *mount;                     /* the only mount that answers here; NULL: the routes say which one does */
    struct endpoint *of;             /* it is a twin of this one, which has it as a user; or NULL */
    size_t users;                    /* its connections, and the opener */
    void (*unused)(struct endpoint *endpoint); /* called when there are no users any more; or NULL */
};

/* Make an endpoint for a listening, non-blocking socket, which stays the caller's. handler takes the connections that
 * are accepted from it; NULL: nothing is accepted here, connections come from elsewhere. Never freed. Fields may be
 * changed before the event loop runs. */
struct endpoint *endpoint_open(int fd, const struct listener_handler *handler);

/* Make another endpoint for the same address and mount, where nothing is accepted. Never freed. */
struct endpoint *endpoint_twin(struct endpoint *of);

/* Accept no more, and let requests that run be the last of their connections. Not twice. */
void endpoint_close(struct endpoint *endpoint);

/* The address that a connection of an endpoint came in on, as address_text. To be given back; valid as long. */
const char *endpoint_local_address(const struct endpoint *endpoint, int fd);
void endpoint_local_address_end(const struct endpoint *endpoint, const char *address);

/* Drop one of the users. */
void endpoint_leave(struct endpoint *endpoint);

#endif
