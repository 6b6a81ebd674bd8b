/* proxy.h: the PROXY protocol, by which a load balancer says at the start of a connection whose it is. */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROXY_MOST 4096 /* bytes of a header */

struct proxy_header {
    struct sockaddr_storage peer; /* AF_UNSPEC: the connection is the load balancer's own */
};

/* Read a header, version 1 or 2, at the beginning of size bytes. Returns its size, 0 if it is not all there yet, or
 * -EBADMSG. */
ssize_t proxy_parse(struct proxy_header *header, const char *p, size_t size);

#endif
