/* connection.h: connections, and the coroutines that serve them. */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include <stddef.h>

#include "http/listener.h"
#include "http/request.h"

struct http_config {
    /* Serve one request, on its coroutine: 0, a status 300..599, or -errno, as sl_module.handle. */
    int (*handle)(struct request *req);
    size_t max_concurrency;                   /* connections served at once; further ones wait their turn */
    void (*ended)(const struct request *req); /* called for each request when it is over; NULL: nobody asks */
};

/* Before the first connection. config is copied. */
void http_init(const struct http_config *config);

/* Take over an accepted, non-blocking socket. peer: of peer_size bytes. */
void conn_open(const struct listener *listener, int fd, const struct sockaddr *peer);

/* No connection shall serve another request: close the idle ones now, the others after their response. The loop is no
 * longer held by listeners, so wait_run returns when the last is gone. */
void http_drain(void);

/* Nothing more is sent or received: for requests that are about to be cancelled, whose answers would be half of one. */
void http_cut(void);

/* Connections open now. */
size_t http_connections(void);

#endif
