/* address.h: IP addresses, ports, networks and Unix sockets, read from text and written as text. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
};

/* Bytes for address_text and for address_name, with the NUL. */
#define ADDRESS_TEXT_SIZE (sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1)
#define ADDRESS_NAME_SIZE (ADDRESS_TEXT_SIZE + sizeof("unix:"))

/* Read HOST:PORT, :PORT, [IPv6]:PORT, unix:/path or unix:@name, an abstract socket; HOST is an IPv4 address, localhost
 * or *, and no host means *. Sets *size as bind(2) wants it. Returns NULL, or what is wrong with the text. */
const char *address_parse(union address *address, socklen_t *size, const char *text);

/* Set the IP address and the port. Returns false if ip is not an address of that family. */
bool address_set(union address *address, int family, const char *ip, uint16_t port);

/* Whether an address stands for all of the host's. */
bool address_is_wildcard(const union address *address);

/* The address that a socket is bound to. Returns 0 or -errno. */
int address_of_socket(union address *address, int fd);

/* Write the address without its port: "192.0.2.1", "2001:db8::1", the path of a Unix socket or @name. An IPv4-mapped
 * address is written as IPv4. *port is 0 for a Unix socket. */
void address_text(const struct sockaddr *address, char *text, size_t size, uint16_t *port);

/* Write the address as address_parse reads it: "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path", "unix:@name". */
void address_name(const struct sockaddr *address, char *name, size_t size);

/* Read a port: 1 to 5 digits, at most 65535, and nothing else. Returns false for anything else. */
bool address_parse_port(uint16_t *port, const char *text);

/* ---- IP addresses and networks; here IPv4 addresses are IPv4-mapped IPv6 addresses (::ffff:192.0.2.1) ---- */

/* The IP address of a socket address. Returns false if it has none. */
bool address_ip(struct in6_addr *ip, const struct sockaddr *address);

/* Write an IP address; text has INET6_ADDRSTRLEN bytes. */
void address_ip_text(const struct in6_addr *ip, char *text);

/* Read an address as proxies write it: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1]:80. *port is 0 without one.
 * Returns false if size bytes of text are none of these. */
bool address_parse_peer(struct in6_addr *ip, uint16_t *port, const char *text, size_t size);

/* "10.0.0.0/8", or one address: "2001:db8::1". */
struct network {
    struct in6_addr ip;
    unsigned bits; /* of ip that count, from the first */
};

/* Returns NULL, or what is wrong with the text. */
const char *network_parse(struct network *network, const char *text);

bool network_has(const struct network *network, const struct in6_addr *ip);

#endif
