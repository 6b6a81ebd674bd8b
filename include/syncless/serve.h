/* serve.h: HTTP on a socket that a program, or a handler, has opened by itself. */
#ifndef SYNCLESS_SERVE_H
#define SYNCLESS_SERVE_H

#include <sys/socket.h>

#include "../syncless.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct sl_server;

struct sl_setting {
    const char *key;
    const char *value; /* written as in the ini file */
};

struct sl_service {
    int fd;                          /* a non-blocking socket that listens; stays the caller's */
    const struct sl_module *module;  /* its handle gets all requests; start and stop are not called */
    void *self;                      /* for handle; stays valid until ended is called */
    void (*ended)(void *self);       /* called after sl_serve_end, once no connection is left; must not wait; or NULL */
    bool accepts;                    /* connections are accepted from fd; else they come by sl_serve_connection */
    bool tls;                        /* the client speaks TLS to somebody in between: the scheme is https */
    const struct sl_setting *limits; /* keys of [limits], ended by a row whose key is NULL; or NULL */
    const void *spare[4];            /* NULL: for members of later versions */
};

/* Serve HTTP in this process until sl_serve_end. Only in the OS thread of the coroutines. The limits that each mount
 * has of its own hold for this service; those of connections hold for the process, and can be given only to the first
 * service of a process without a configuration. Returns NULL if a limit is wrong, and stores in *why a message, which
 * the caller frees. */
struct sl_server *sl_serve(const struct sl_service *service, char **why);

/* Returns another server of the same service, whose clients do not speak TLS: the scheme is http. It gets connections
 * by sl_serve_connection only, and is ended by itself. Never NULL. Since 4.1. */
struct sl_server *sl_serve_plain(struct sl_server *server);

/* Serve a connection that the program has accepted: fd is a non-blocking stream socket, to the client or to a coroutine
 * in between (TLS), and is the server's from here on. peer is the client's address, for handlers and logs. */
void sl_serve_connection(struct sl_server *server, int fd, const struct sockaddr *peer);

/* Accept no more connections. Each open one is closed after the request that it is serving. */
void sl_serve_end(struct sl_server *server);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
