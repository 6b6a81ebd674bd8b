/*
 * network.c: IP addresses and networks.
 *
 * inet_pton reads them: it takes one spelling of each and no names, octal or shortened numbers, by which an address
 * could pass for another.
 */
#include "http/proxy/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define V4_BITS 96 /* of the prefix that makes an IPv4 address one of IPv6 */

static void map_v4(struct in6_addr *address, const struct in_addr *v4)
{
    *address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&address->s6_addr[12], v4, 4);
}

/* Returns how many bits are before those of the text's kind of address, or -1. */
static int parse_address(struct in6_addr *address, const char *text)
{
    struct in_addr v4;

    if (inet_pton(AF_INET6, text, address) == 1)
        return 0;
    if (inet_pton(AF_INET, text, &v4) != 1)
        return -1;
    map_v4(address, &v4);
    return V4_BITS;
}

const char *network_parse(struct network *network, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    char address[INET6_ADDRSTRLEN];
    int before;

    if (size >= sizeof(address))
        return "expected an IP address or a network such as 10.0.0.0/8";
    memcpy(address, text, size);
    address[size] = '\0';
    before = parse_address(&network->address, address);
    if (before < 0)
        return "expected an IP address or a network such as 10.0.0.0/8";
    network->bits = 128;
    if (!slash)
        return NULL;
    if (!slash[1] || strlen(slash + 1) > 3 || slash[1 + strspn(slash + 1, "0123456789")] ||
        atoi(slash + 1) > 128 - before)
        return "expected a number of bits after the slash, at most 32 for IPv4 and 128 for IPv6";
    network->bits = (unsigned)(before + atoi(slash + 1));
    return NULL;
}

bool network_has(const struct network *network, const struct in6_addr *address)
{
    unsigned bytes = network->bits / 8, rest = network->bits % 8;
    const uint8_t *a = network->address.s6_addr, *b = address->s6_addr;

    return !memcmp(a, b, bytes) && (rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}

bool network_address(struct in6_addr *address, const struct sockaddr *from)
{
    if (from->sa_family == AF_INET6)
        *address = ((const struct sockaddr_in6 *)from)->sin6_addr;
    else if (from->sa_family == AF_INET)
        map_v4(address, &((const struct sockaddr_in *)from)->sin_addr);
    else
        return false;
    return true;
}

bool network_parse_port(uint16_t *port, const char *text)
{
    if (!*text || strlen(text) > 5 || text[strspn(text, "0123456789")] || atoi(text) > 65535)
        return false;
    *port = (uint16_t)atoi(text);
    return true;
}

/* Cut ":port" off. False if that is no port. */
static bool cut_port(char *colon, uint16_t *port)
{
    *colon = '\0';
    return network_parse_port(port, colon + 1);
}

bool network_parse_peer(struct in6_addr *address, uint16_t *port, const char *text, size_t size)
{
    char copy[INET6_ADDRSTRLEN + 8], *start = copy, *end, *colon;

    *port = 0;
    if (size >= sizeof(copy))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    colon = strchr(copy, ':');
    if (*copy == '[') {
        start++;
        end = strchr(copy, ']');
        if (!end || (end[1] && (end[1] != ':' || !cut_port(end + 1, port))))
            return false;
        *end = '\0';
        return strchr(start, ':') && parse_address(address, start) == 0;
    }
    if (colon && !strchr(colon + 1, ':') && !cut_port(colon, port)) /* two colons are an IPv6 address */
        return false;
    return parse_address(address, start) >= 0;
}

void network_text(const struct in6_addr *address, char *text)
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        inet_ntop(AF_INET, &address->s6_addr[12], text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
}
