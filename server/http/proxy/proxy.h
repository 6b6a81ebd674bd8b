/* proxy.h: the PROXY protocol: at the start of a connection, a load balancer says who the client is. */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include <sys/types.h>

#include "base/address.h"

#define PROXY_MAX 4096 /* bytes of a header */

struct proxy_header {
    union address peer; /* the client; AF_UNSPEC: the load balancer itself has connected, as for a health check */
};

/* Read a header, version 1 or 2, at the start of size bytes. Returns its size, 0 if it is not complete yet, or
 * -EBADMSG. */
ssize_t proxy_parse(struct proxy_header *header, const char *p, size_t size);

#endif
