/* network.h: IP addresses and networks. An IPv4 address is the IPv6 address ::ffff:a.b.c.d, so there is one kind. */
#ifndef HTTP_NETWORK_H
#define HTTP_NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "10.0.0.0/8", "2001:db8::1". Of the address, the first bits count. */
struct network {
    struct in6_addr address;
    unsigned bits;
};

/* Read an address or a network. Returns NULL, or what is wrong with the text. */
const char *network_parse(struct network *network, const char *text);

bool network_has(const struct network *network, const struct in6_addr *address);

/* The IP address of a socket address; false if it has none. */
bool network_address(struct in6_addr *address, const struct sockaddr *from);

/* A port, 1 to 5 digits and nothing else. False if it is none. */
bool network_parse_port(uint16_t *port, const char *text);

/* An address as proxies write it: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1]:80. *port is 0 without one. */
bool network_parse_peer(struct in6_addr *address, uint16_t *port, const char *text, size_t size);

/* Write an address as people do; text has INET6_ADDRSTRLEN bytes. */
void network_text(const struct in6_addr *address, char *text);

#endif
