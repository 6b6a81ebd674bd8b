/* remote.h: the other ends of connections that an application opens, as [outbound PEER] names them. */
#ifndef LIBC_REMOTE_H
#define LIBC_REMOTE_H

#include "base/address.h"

#define REMOTE_NAME_SIZE 256 /* bytes with the NUL */

enum remote_kind { REMOTE_NETWORK, REMOTE_HOST, REMOTE_UNIX };

struct remote {
    enum remote_kind kind;
    struct network network;      /* REMOTE_NETWORK; one address is a network of 128 bits */
    uint16_t port;               /* 0: any */
    char name[REMOTE_NAME_SIZE]; /* REMOTE_HOST: in lower case; REMOTE_UNIX: the path, or "@name" */
};

/* Read ADDRESS, NETWORK, NAME or one of them with :PORT (an IPv6 address then in brackets), or unix:/path. Returns
 * NULL, or what is wrong with the text. */
const char *remote_parse(struct remote *remote, const char *text);

/* Whether a socket address is the peer's, if that is not REMOTE_HOST; whether it has the port. */
bool remote_has_address(const struct remote *remote, const struct sockaddr *to, socklen_t size);
bool remote_has_port(const struct remote *remote, const struct sockaddr *to);

/* Whether a host name, as an application writes it, is the one of REMOTE_HOST. */
bool remote_has_name(const struct remote *remote, const char *name);

/* Of two peers that both have an address, the one of the higher rank says more about it. */
unsigned remote_rank(const struct remote *remote);

#endif
