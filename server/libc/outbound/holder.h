/* holder.h: which descriptors are limited connections. */
#ifndef LIBC_HOLDER_H
#define LIBC_HOLDER_H

#include <stdbool.h>

struct outbound;

/* A connection that counts; several descriptors may be it. */
struct holder {
    struct outbound *outbound; /* borrowed */
    unsigned long inode;       /* of the socket */
    int users;                 /* descriptors */
};

/* Once, before the others, which any thread may call. */
void holder_init(void);

/* The descriptor, a socket, counts for o. Returns false if it cannot be remembered. */
bool holder_add(int fd, struct outbound *o);

/* Whether it does so already. One that was closed without our notice is released. */
bool holder_has(int fd, const struct outbound *o);

/* The second descriptor is a copy of the first one. */
void holder_share(int fd, int copy);

/* Take the descriptor out, since it is about to be closed. Returns its holder, for one of the next two; or NULL. */
struct holder *holder_take(int fd);

/* It was closed: if it was the last one, the connection is over. */
void holder_drop(struct holder *holder);

/* It was not closed. */
void holder_put(int fd, struct holder *holder);

/* Release the descriptors that were closed without our notice. */
void holder_sweep(void);

#endif
