/* share.h: the workers share the connections of their listen sockets evenly. */
#ifndef SHARE_SHARE_H
#define SHARE_SHARE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An idle connection on its way to another worker. */
struct share_connection {
    uint64_t socket;             /* what identifies the listen socket it came from, see share_socket */
    uint16_t peer_port;          /* of its peer */
    bool proxied;                /* it begins with a PROXY header, which is yet to come */
    bool fresh;                  /* it has had no request yet */
    char peer[INET6_ADDRSTRLEN]; /* its address; "" on a Unix socket */
};

struct share_handler {
    void (*look)(void);                                         /* a connection may wait in the backlog for us */
    void (*wanted)(void);                                       /* idle connections are to be given, see share_give */
    void (*take)(const struct share_connection *taken, int fd); /* take over a connection */
};

/* What identifies a listen socket in all processes that have it. */
uint64_t share_socket(int fd);

/* Share with all workers that give the same kind, which says which sockets they serve and how. handler is borrowed. The
 * event loop runs, or is about to. Does nothing if the master has not made the table of seats. */
void share_join(uint64_t kind, const struct share_handler *handler);

/* From now on this worker is to get no connections. Those that are on their way are taken now. */
void share_leave(void);

/* In a forked child of an application: the seat is not ours. */
void share_forget(void);

/* Whether there are others to share with. */
bool share_has_others(void);

enum share_turn {
    SHARE_OURS,     /* accept */
    SHARE_ANOTHERS, /* another worker has fewer, and is known to look; our handler's look is called if it does not */
};

/* Whose turn it is to accept the connection that waits on the listen socket fd. */
enum share_turn share_turn(int fd);

/* This worker has accepted a connection; has one more or one less. */
void share_count_accepted(void);
void share_count(int change);

/* To be called when a connection is about to be idle: this worker has served so many requests. */
extern size_t share_next_look;
void share_look_at_served(size_t requests);
static inline void share_count_served(size_t requests)
{
    if (requests >= share_next_look)
        share_look_at_served(requests);
}

/* Whether another worker has asked for idle connections and should still get some. */
extern bool share_is_wanted;

/* Give it this one. Returns whether it has it: then close fd. */
bool share_give(const struct share_connection *given, int fd);

#endif
