/*
 * proxy.c: the PROXY protocol, versions 1 (a line) and 2 (binary), as haproxy's proxy-protocol.txt defines it.
 *
 * A header that is not understood ends the connection, since what follows it could be anything. Only the addresses are
 * used; additional values (TLVs) of version 2 are skipped.
 */
#include "http/proxy/proxy.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

#define MAX_V1_LINE    107 /* bytes */
#define V2_HEADER_SIZE 16  /* bytes before the addresses */
#define V2_SIGNATURE   "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_SIZE 12 /* bytes, without the zero at the end of the string */

/* ---- version 1 ---- */

/* One of the two addresses of a line, with its port. */
static bool parse_v1_address(union address *address, int family, const char *ip, const char *port)
{
    uint16_t number;

    return address_parse_port(&number, port) && address_set(address, family, ip, number);
}

/* The words of a line: TCP4 source destination source-port destination-port. */
static bool parse_v1_words(struct proxy_header *header, char *line)
{
    union address destination;
    char *words[6] = {0}, *rest = line;
    int family;

    for (int i = 0; i < 6; i++)
        words[i] = strsep(&rest, " ");
    if (words[0] && !strcmp(words[0], "UNKNOWN"))
        return true;
    if (!words[4] || words[5])
        return false;
    family = !strcmp(words[0], "TCP4") ? AF_INET : !strcmp(words[0], "TCP6") ? AF_INET6 : AF_UNSPEC;
    return family != AF_UNSPEC && parse_v1_address(&destination, family, words[2], words[4]) &&
           parse_v1_address(&header->peer, family, words[1], words[3]);
}

static ssize_t parse_v1(struct proxy_header *header, const char *p, size_t size)
{
    const char *lf = memchr(p, '\n', min_size(size, MAX_V1_LINE));
    char line[MAX_V1_LINE + 1];
    size_t used;

    if (!lf)
        return size < MAX_V1_LINE ? 0 : -EBADMSG;
    used = (size_t)(lf + 1 - p);
    if (used < 8 || lf[-1] != '\r' || memchr(p, '\0', used))
        return -EBADMSG;
    memcpy(line, p + 6, used - 8);
    line[used - 8] = '\0';
    return parse_v1_words(header, line) ? (ssize_t)used : -EBADMSG;
}

/* ---- version 2 ---- */

static unsigned big_endian_16(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* Read the source address in size bytes; kind is the byte that says family and transport. */
static bool parse_v2_address(union address *source, unsigned char kind, const char *p, size_t size)
{
    switch (kind) {
    case 0x11:
        if (size < 12)
            return false;
        source->in.sin_family = AF_INET;
        memcpy(&source->in.sin_addr, p, 4);
        memcpy(&source->in.sin_port, p + 8, 2);
        return true;
    case 0x21:
        if (size < 36)
            return false;
        source->in6.sin6_family = AF_INET6;
        memcpy(&source->in6.sin6_addr, p, 16);
        memcpy(&source->in6.sin6_port, p + 32, 2);
        return true;
    case 0x31: /* a Unix socket: it has no address of use to us */
    case 0x00:
        return true;
    default:
        return false;
    }
}

static ssize_t parse_v2(struct proxy_header *header, const char *p, size_t size)
{
    size_t length;

    if (size < V2_HEADER_SIZE)
        return 0;
    length = big_endian_16(p + 14);
    if ((p[12] != 0x20 && p[12] != 0x21) || V2_HEADER_SIZE + length > PROXY_MAX)
        return -EBADMSG;
    if (size < V2_HEADER_SIZE + length)
        return 0;
    if (p[12] == 0x21 && !parse_v2_address(&header->peer, (unsigned char)p[13], p + V2_HEADER_SIZE, length))
        return -EBADMSG;
    return (ssize_t)(V2_HEADER_SIZE + length);
}

ssize_t proxy_parse(struct proxy_header *header, const char *p, size_t size)
{
    memset(header, 0, sizeof(*header));
    if (!memcmp(p, "PROXY ", min_size(size, 6)))
        return size < 6 ? 0 : parse_v1(header, p, size);
    if (!memcmp(p, V2_SIGNATURE, min_size(size, SIGNATURE_SIZE)))
        return size < SIGNATURE_SIZE ? 0 : parse_v2(header, p, size);
    return -EBADMSG;
}
