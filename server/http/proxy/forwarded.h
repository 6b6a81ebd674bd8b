/* forwarded.h: what proxies in front of the server say of the client. */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "base/address.h"
#include "http/request/request.h"

enum forwarded_field {
    FORWARDED = 1, /* Forwarded, RFC 7239 */
    FORWARDED_FOR = 2,
    FORWARDED_PROTO = 4,
    FORWARDED_HOST = 8,
    FORWARDED_PREFIX = 16,
    FORWARDED_ID = 32, /* X-Request-ID */
    FORWARDED_ALL = 63,

    /* What nearly every proxy sets: the others, nginx passes on as its client wrote them. */
    FORWARDED_DEFAULT = FORWARDED_FOR | FORWARDED_PROTO | FORWARDED_ID,
};

/* Whom to believe, and what. Borrowed. */
struct proxies {
    const struct network *networks;
    size_t count;
    bool local;      /* peers on Unix sockets too */
    unsigned fields; /* enum forwarded_field */
};

bool forwarded_trusts(const struct proxies *proxies, const struct in6_addr *address);

/* Let the request's view say of the client what the proxies say, whose nearest is the peer of the connection and
 * trusted. What is malformed is left out. */
void forwarded_apply(const struct proxies *proxies, struct request *req);

#endif
