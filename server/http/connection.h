/* connection.h: connections, and the coroutines that serve them. */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include <stddef.h>

#include "http/proxy/forwarded.h"
#include "http/listener.h"
#include "http/request/request.h"

/* Times are milliseconds, 0 is none. */
struct http_config {
    /* Serve one request, on its coroutine: 0, a status 300..599, or -errno, as sl_module.handle. */
    int (*handle)(struct request *req);
    const struct proxies *proxies;            /* whom to believe what they say of the client; borrowed */
    size_t max_concurrency;                   /* requests served at once; further ones wait their turn */
    int64_t queue_timeout;                    /* for that, and are answered with 503 then */
    size_t max_connections;                   /* open at once */
    size_t max_request_line;                  /* bytes */
    size_t max_header_size;                   /* bytes of a head in all */
    size_t max_headers;                       /* fields */
    int64_t header_timeout;                   /* from the first byte of a head, or the accept, to its last */
    int64_t keepalive_timeout;                /* from the end of a request to the first byte of the next */
    int64_t body_timeout;                     /* without a byte of the body while it is waited for */
    int64_t write_timeout;                    /* without room for a byte of the response */
    void (*ended)(const struct request *req); /* called for each request when it is over; NULL: nobody asks */
};

/* Before the first connection. config is copied. */
void http_init(const struct http_config *config);

/* Whether that was called. */
bool http_is_ready(void);

/* Whether max_connections are open. */
bool http_is_full(void);

/* A connection is about to be accepted: close the one that has been idle longest if there must be room for it. Returns
 * whether there is. */
bool http_make_room(void);

/* Take over an accepted, non-blocking socket. */
void conn_open(struct listener *listener, int fd, const struct sockaddr *peer);

/* No connection shall serve another request: close the idle ones after so many milliseconds, in which they may have a
 * last request on its way, the others after their response. The loop is no longer held by listeners, so wait_run
 * returns when the last is gone. */
void http_drain(int64_t idle_grace);

/* Close the connections of that listener which are between two requests. */
void http_close_idle(const struct listener *listener);

/* Requests served since the start. */
size_t http_served(void);

/* Nothing more is sent or received: for requests that are about to be cancelled, whose answers would be half of one. */
void http_cut(void);

/* Connections open now. */
size_t http_connections(void);

#endif
