/* session.h: what a coroutine does for a connection: read requests, have them handled, answer them. */
#ifndef HTTP_SESSION_H
#define HTTP_SESSION_H

#include "http/admission.h"
#include "http/config.h"
#include "http/endpoint.h"
#include "http/request/request.h"

/* A connection, as far as its sessions know it. */
struct client {
    struct wait_source source;
    struct permit permit;
    struct endpoint *endpoint; /* one of its users is this connection */
    const char *server;        /* endpoint_local_address */
    struct request *req;       /* in work; NULL between requests */
    int64_t arrived;           /* ns when bytes came to the idle connection; 0: none did, or http_hooks.ended is NULL */
    bool proxied;              /* it begins with a PROXY header, which is yet to come */
    bool trusted;              /* the peer is a trusted proxy */
    uint16_t peer_port;
    char peer[INET6_ADDRSTRLEN]; /* its address; "" on a Unix socket */
};

/* What to do with the connection after a session. */
enum session_end {
    SESSION_IDLE,   /* wait for the next request */
    SESSION_LINGER, /* close it when the client has read our last response, which a reset could destroy */
    SESSION_CLOSE,
};

/* config is borrowed. gone is called for a client whose session has ended because its coroutine has; must not wait. */
void session_init(const struct http_config *config, void (*gone)(struct client *client));

/* From now on each request is the last of its connection. */
void session_drain(void);

/* Requests since the start. */
size_t session_requests(void);

/* The request that a coroutine has begun to handle; NULL: none. */
struct request *session_request(const struct coro *co);

/* Set the peer, and whether it is trusted. */
void client_set_peer(struct client *client, const struct sockaddr *peer);

/* On a coroutine that holds the client's permit: serve the connection until it is idle or over. */
enum session_end session_run(struct client *client);

/* On the coroutine of a request: the permit of its connection. */
struct permit *session_permit(void);

/* On the loop's stack: answer a request, of which nothing has been read, with 503. Returns whether that was sent. */
bool session_reject(struct client *client);

#endif
