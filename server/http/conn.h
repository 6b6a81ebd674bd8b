/* conn.h: a connection, as connection.c and session.c share it. */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "http/connection.h"
#include "http/admission.h"

enum conn_state {
    CONN_IDLE,      /* between two requests, or before the first */
    CONN_QUEUED,    /* bytes have come, it waits for a permit */
    CONN_ACTIVE,    /* a coroutine serves it */
    CONN_LINGERING, /* answered for the last time: what the client still sends is dropped */
};

struct conn {
    struct wait_source source; /* first */
    struct list all;
    struct permit permit;
    struct wait_timeout timeout; /* of the state it is in */
    struct listener *listener;
    struct request *req; /* being served; NULL between requests */
    enum conn_state state;
    int64_t arrived; /* ns when bytes woke it, if http_config.ended is set; 0: none did */
    bool proxied;    /* it begins with a PROXY header, which has not come yet */
    bool trusted;    /* the peer is a trusted proxy */
    uint16_t peer_port;
    size_t dropped; /* bytes, while it lingers */
    char peer[INET6_ADDRSTRLEN];
};

/* ---- connection.c ---- */

/* Whether http_drain was called, so that each request is the last of its connection; whether idle ones are closed too
 * by now. */
bool http_is_draining(void);
bool http_is_closing(void);

/* A request begins: for http_served. */
void http_count_request(void);

/* Let a connection be from that peer. */
void conn_set_peer(struct conn *conn, const struct sockaddr *peer);

/* How a session ends: wait for the next request without a coroutine; close when the client has had time to read our
 * answer, which a reset could destroy; close. */
void conn_idle(struct conn *conn);
void conn_linger(struct conn *conn);
void conn_close(struct conn *conn);

/* ---- session.c ---- */

/* config stays. */
void session_init(const struct http_config *config);

/* Serve a connection on this coroutine, as long as it has something to serve, and then do one of the three. */
void session_serve(struct conn *conn);

/* On the loop's stack: answer a request, of which nothing has been read, with 503. Returns whether that was sent. */
bool session_reject(struct conn *conn);

#endif
