/*
 * address.c: IP addresses, ports, networks and Unix sockets, read from text and written as text.
 *
 * Names are not resolved: which address a server listens on must not depend on DNS. localhost is 127.0.0.1; * and an
 * empty host are every IPv4 address; IPv6 is written out, [::]:8080, as in nginx. inet_pton reads the addresses. It
 * takes one spelling of each, and no octal, hexadecimal or shortened numbers, by which an address could pass for
 * another.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IPV4_PREFIX 96 /* bits of an IPv4-mapped address before the IPv4 address */

/* ---- numbers ---- */

/* Returns the number in text, at most max, or -1 if text is not 1 to max_digits decimal digits. */
static long parse_digits(const char *text, size_t max_digits, long max)
{
    size_t size = strspn(text, "0123456789");
    long number;

    if (size == 0 || size > max_digits || text[size])
        return -1;
    number = strtol(text, NULL, 10);
    return number <= max ? number : -1;
}

bool address_parse_port(uint16_t *port, const char *text)
{
    long number = parse_digits(text, 5, 65535);

    *port = number < 0 ? 0 : (uint16_t)number;
    return number >= 0;
}

/* ---- socket addresses ---- */

bool address_set(union address *address, int family, const char *ip, uint16_t port)
{
    address->any.sa_family = (sa_family_t)family;
    address->in.sin_port = htons(port); /* at the same place in both */
    if (family == AF_INET)
        return inet_pton(AF_INET, ip, &address->in.sin_addr) == 1;
    return inet_pton(AF_INET6, ip, &address->in6.sin6_addr) == 1;
}

static const char *parse_unix_path(union address *address, socklen_t *size, const char *path)
{
    bool is_abstract = *path == '@';

    if (*path != '/' && !is_abstract)
        return "a socket needs an absolute path, such as unix:/run/app.sock or unix:%(here)/app.sock, or an abstract "
               "name, unix:@app";
    if (strlen(path) >= sizeof(address->un.sun_path))
        return "the path of a socket has at most 107 bytes";
    if (is_abstract && !path[1])
        return "an abstract socket needs a name after the @";
    address->un.sun_family = AF_UNIX;
    strcpy(address->un.sun_path, path);
    *size = sizeof(address->un);
    if (!is_abstract)
        return NULL;
    address->un.sun_path[0] = '\0';
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)); /* every byte counts, unix(7) */
    return NULL;
}

static const char *parse_ipv4_host(union address *address, socklen_t *size, const char *host, uint16_t port)
{
    if (!*host || !strcmp(host, "*"))
        host = "0.0.0.0";
    else if (!strcasecmp(host, "localhost"))
        host = "127.0.0.1";
    if (!address_set(address, AF_INET, host, port))
        return "expected a numeric address, localhost or * before the port (IPv6 in brackets); names are not resolved";
    *size = sizeof(address->in);
    return NULL;
}

const char *address_parse(union address *address, socklen_t *size, const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[64];
    uint16_t port;
    size_t length;

    memset(address, 0, sizeof(*address));
    if (!strncmp(text, "unix:", 5))
        return parse_unix_path(address, size, text + 5);
    if (!colon)
        return "expected HOST:PORT, :PORT, [IPv6]:PORT, unix:/path or unix:@name";
    if (!address_parse_port(&port, colon + 1))
        return "expected a port of 0 to 65535 after the last \":\"";
    length = (size_t)(colon - text);
    if (length >= sizeof(host))
        return "the host is too long for a numeric address";
    memcpy(host, text, length);
    host[length] = '\0';
    if (length < 2 || host[0] != '[' || host[length - 1] != ']')
        return parse_ipv4_host(address, size, host, port);
    host[length - 1] = '\0';
    if (!address_set(address, AF_INET6, host + 1, port))
        return "expected an IPv6 address between the brackets";
    *size = sizeof(address->in6);
    return NULL;
}

bool address_is_wildcard(const union address *address)
{
    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
    return address->any.sa_family == AF_INET && address->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

int address_of_socket(union address *address, int fd)
{
    socklen_t size = sizeof(*address);

    memset(address, 0, sizeof(*address)); /* the kernel's path may have no NUL */
    return getsockname(fd, &address->any, &size) < 0 ? -errno : 0;
}

void address_text(const struct sockaddr *address, char *text, size_t size, uint16_t *port)
{
    struct in6_addr ip;

    *text = '\0';
    *port = 0;
    if (address_ip(&ip, address)) {
        address_ip_text(&ip, text);
        *port = ntohs(((const struct sockaddr_in *)address)->sin_port); /* at the same place in IPv6 */
    } else if (address->sa_family == AF_UNIX) {
        const char *path = ((const struct sockaddr_un *)address)->sun_path;

        snprintf(text, size, "%s%s", *path || !path[1] ? "" : "@", *path ? path : path + 1);
    }
}

void address_name(const struct sockaddr *address, char *name, size_t size)
{
    char text[ADDRESS_TEXT_SIZE];
    uint16_t port;

    address_text(address, text, sizeof(text), &port);
    if (address->sa_family == AF_UNIX)
        snprintf(name, size, "unix:%s", text);
    else
        snprintf(name, size, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, port);
}

/* ---- IP addresses and networks ---- */

static void map_ipv4(struct in6_addr *ip, const struct in_addr *ipv4)
{
    *ip = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&ip->s6_addr[12], ipv4, 4);
}

bool address_ip(struct in6_addr *ip, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        *ip = ((const struct sockaddr_in6 *)address)->sin6_addr;
    else if (address->sa_family == AF_INET)
        map_ipv4(ip, &((const struct sockaddr_in *)address)->sin_addr);
    else
        return false;
    return true;
}

void address_ip_text(const struct in6_addr *ip, char *text)
{
    if (IN6_IS_ADDR_V4MAPPED(ip))
        inet_ntop(AF_INET, &ip->s6_addr[12], text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, ip, text, INET6_ADDRSTRLEN);
}

/* Returns the family of the text, or AF_UNSPEC if it is no IP address. */
static int parse_ip(struct in6_addr *ip, const char *text)
{
    struct in_addr ipv4;

    if (inet_pton(AF_INET6, text, ip) == 1)
        return AF_INET6;
    if (inet_pton(AF_INET, text, &ipv4) != 1)
        return AF_UNSPEC;
    map_ipv4(ip, &ipv4);
    return AF_INET;
}

/* Cut ":port" off. Returns false if it is not a port. */
static bool cut_port(char *colon, uint16_t *port)
{
    *colon = '\0';
    return address_parse_port(port, colon + 1);
}

bool address_parse_peer(struct in6_addr *ip, uint16_t *port, const char *text, size_t size)
{
    char copy[INET6_ADDRSTRLEN + 8], *end, *colon;

    *port = 0;
    if (size >= sizeof(copy))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (*copy == '[') {
        end = strchr(copy, ']');
        if (!end || (end[1] && (end[1] != ':' || !cut_port(end + 1, port))))
            return false;
        *end = '\0';
        return parse_ip(ip, copy + 1) == AF_INET6;
    }
    colon = strchr(copy, ':');
    if (colon && !strchr(colon + 1, ':') && !cut_port(colon, port)) /* two colons are an IPv6 address */
        return false;
    return parse_ip(ip, copy) != AF_UNSPEC;
}

const char *network_parse(struct network *network, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    char ip[INET6_ADDRSTRLEN] = "";
    unsigned before;
    long bits;
    int family;

    if (size < sizeof(ip))
        memcpy(ip, text, size);
    family = parse_ip(&network->ip, ip);
    if (family == AF_UNSPEC)
        return "expected an IP address or a network such as 10.0.0.0/8";
    before = family == AF_INET ? IPV4_PREFIX : 0;
    bits = slash ? parse_digits(slash + 1, 3, 128 - before) : 128 - before;
    if (bits < 0)
        return "expected a number of bits after the slash, at most 32 for IPv4 and 128 for IPv6";
    network->bits = before + (unsigned)bits;
    return NULL;
}

bool network_has(const struct network *network, const struct in6_addr *ip)
{
    unsigned bytes = network->bits / 8, rest = network->bits % 8;
    const uint8_t *a = network->ip.s6_addr, *b = ip->s6_addr;

    return !memcmp(a, b, bytes) && (rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}
