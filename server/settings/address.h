/* address.h: a listen address as the ini file writes it, ready for bind(2). */
#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
    const char *text; /* as written, without options */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } sa;
    socklen_t size; /* of sa */
    bool proxied;   /* connections begin with a PROXY header */
};

/* Read HOST:PORT, :PORT, [IPv6]:PORT or unix:/path; the host is an IPv4 address, localhost or *. text is borrowed.
 * Returns NULL, or what is wrong with the text. */
const char *address_parse(struct address *a, const char *text);

/* Read a word that stands behind the address: proxy-protocol or protocol=http. As address_parse. */
const char *address_option(struct address *a, const char *word);

#endif
