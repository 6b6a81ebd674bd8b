/* outbound.h: limits for the connections that an application opens: the sections [outbound PEER]. */
#ifndef LIBC_OUTBOUND_H
#define LIBC_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "libc/outbound/remote.h"
#include "libc/outbound/tally.h"

struct addrinfo;
struct hostent;
struct outbound;

/* A section. */
struct outbound_limit {
    const char *title; /* "outbound db:5432" */
    struct remote remote;
    int64_t max_connections; /* over all workers; 0: no limit */
    int64_t queue_timeout;   /* milliseconds; 0: no limit */
    int64_t connect_timeout; /* milliseconds; 0: no limit */
    int64_t peer_timeout;    /* milliseconds; 0: the kernel's */
    struct tally *tally;     /* NULL: there is no memory for it */
};

struct outbound_limits {
    struct outbound_limit *list;
    size_t count;
};

/* ---- in the master ---- */

/* Before its workers are forked: give each limit its tally, the same to the same title in any configuration. */
void outbound_share(const struct outbound_limits *limits);

/* Fill in the figures of the n-th peer that was ever limited. Returns the name of its section without "outbound ", or
 * NULL: there are no more. */
const char *outbound_shared_counts(size_t n, struct tally_counts *counts);

/* A child has ended, in whatever way: its connections no longer count. */
void outbound_child_ended(pid_t pid);

/* ---- in a worker ---- */

/* From now on these limits hold here. They are borrowed. */
void outbound_start(const struct outbound_limits *limits);

/* In a forked child: none holds. */
void outbound_forget(void);

/* Write a line to the log for each limit: its figures, over all workers. */
void outbound_log_counts(void);

/* ---- for the calls; any thread ---- */

extern bool outbound_used; /* whether there is any limit */

/* Returns the limit for a connection of this socket to that address, or NULL. */
struct outbound *outbound_find(int fd, const struct sockaddr *to, socklen_t size);

/* Before the connect: have the kernel notice, within peer-timeout, that the machine of the peer is gone. */
void outbound_probe_peer(const struct outbound *o, int fd, int family);

/* Before the connect: count the socket, and wait until it may connect. Returns 0; -ETIMEDOUT after queue-timeout; or
 * the error of a wait that has ended otherwise. */
int outbound_begin(struct outbound *o, int fd);

/* Milliseconds that the connect may take; 0: no limit. */
int64_t outbound_connect_timeout(const struct outbound *o);

/* One connection less. */
void outbound_end(struct outbound *o);

/* A name was looked up: the addresses are those of the peer of that name, if there is one. */
void outbound_learn(const char *name, const struct addrinfo *found);
void outbound_learn_host(const char *name, const struct hostent *found);

#endif
