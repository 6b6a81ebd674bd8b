/* forwarded.h: what trusted proxies say about the client, in header fields. */
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

    /* Those that nearly every proxy sets. The others nginx passes on as its client sent them. */
    FORWARDED_DEFAULT = FORWARDED_FOR | FORWARDED_PROTO | FORWARDED_ID,
};

/* The trusted proxies. */
struct proxies {
    const struct network *networks; /* borrowed */
    size_t count;
    bool local;      /* peers on Unix sockets are trusted */
    unsigned fields; /* that are believed: enum forwarded_field */
};

bool forwarded_trusts(const struct proxies *proxies, const struct in6_addr *ip);

/* For a request whose connection comes from a trusted proxy: set in its view what the fields say about the client.
 * Malformed fields change nothing. */
void forwarded_apply(const struct proxies *proxies, struct request *req);

#endif
