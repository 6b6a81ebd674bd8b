/* connection.h: connections, and what can be done with all of them. */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "http/config.h"
#include "http/endpoint.h"

/* Once, before the first connection. config is copied. */
void http_init(const struct http_config *config);

/* Before the first connection: some requests run also where max_concurrency are running. Then heads are read without a
 * permit, and handle has to see to it (permit_resume). */
void http_set_urgent(void);

/* Whether http_init was called. */
bool http_is_ready(void);

/* For endpoint_open: connections are accepted unless max_connections are open and all of them are busy. */
extern const struct listener_handler conn_handler;

/* Take over an accepted, non-blocking socket. */
void conn_open(struct endpoint *endpoint, int fd, const struct sockaddr *peer);

/* Share connections evenly with the workers that give the same kind; see share_join. Once, when the guarded listeners
 * are open. */
void http_share(uint64_t kind);

/* Call fn on the loop's stack when http_drain is called, or now if it was. Returns 0, or -ENOSPC. */
int http_on_drain(void (*fn)(void));

/* Serve no further request on any connection. Idle ones are closed after so many milliseconds, for which they may have
 * a last request on its way; the others after their response. Listeners no longer keep the event loop running: wait_run
 * returns when the last connection is closed. */
void http_drain(int64_t idle_grace);

/* Close the idle connections of an endpoint; NULL: of all. */
void http_close_idle(const struct endpoint *endpoint);

/* Send and receive nothing more: for requests that are about to be cancelled, so that no half of a response is sent. */
void http_cut(void);

/* Requests served since the start. */
size_t http_served(void);

/* Connections open now. */
size_t http_connections(void);

#endif
