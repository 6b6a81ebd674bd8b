/*
 * proxy.c: the PROXY protocol, versions 1 (a line) and 2 (binary), as haproxy's proxy-protocol.txt defines it.
 *
 * What is not understood ends the connection: behind it could stand anything. The addresses are taken, additional
 * values (TLVs) of version 2 are skipped.
 */
#include "http/proxy/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "http/proxy/network.h"

#define V1_MOST 107 /* bytes of the longest line */
#define V2_HEAD 16

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- version 1 ---- */

static bool set_peer(struct proxy_header *header, int family, const char *address, const char *port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&header->peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&header->peer;
    uint16_t number;

    if (!network_parse_port(&number, port))
        return false;
    header->peer.ss_family = (sa_family_t)family;
    v4->sin_port = htons(number); /* at the same place in both */
    return inet_pton(family, address, family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr) == 1;
}

/* The words of a line: TCP4 source destination source-port destination-port. */
static bool parse_line(struct proxy_header *header, char *line)
{
    struct proxy_header other;
    char *words[6] = {0}, *rest = line;
    int family;

    for (int i = 0; i < 6; i++)
        words[i] = strsep(&rest, " ");
    if (words[0] && !strcmp(words[0], "UNKNOWN"))
        return true;
    if (!words[4] || words[5])
        return false;
    family = !strcmp(words[0], "TCP4") ? AF_INET : !strcmp(words[0], "TCP6") ? AF_INET6 : AF_UNSPEC;
    return family != AF_UNSPEC && set_peer(&other, family, words[2], words[4]) &&
           set_peer(header, family, words[1], words[3]);
}

static ssize_t parse_v1(struct proxy_header *header, const char *p, size_t size)
{
    const char *lf = memchr(p, '\n', smaller(size, V1_MOST));
    char line[V1_MOST + 1];
    size_t used;

    if (!lf)
        return size < V1_MOST ? 0 : -EBADMSG;
    used = (size_t)(lf + 1 - p);
    if (used < 8 || lf[-1] != '\r' || memchr(p, '\0', used))
        return -EBADMSG;
    memcpy(line, p + 6, used - 8);
    line[used - 8] = '\0';
    return parse_line(header, line) ? (ssize_t)used : -EBADMSG;
}

/* ---- version 2 ---- */

static unsigned big_endian(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* The source address in size bytes, by the byte that tells family and transport. */
static bool take_address(struct proxy_header *header, unsigned char kind, const char *p, size_t size)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&header->peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&header->peer;

    switch (kind) {
    case 0x11:
        if (size < 12)
            return false;
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, p, 4);
        memcpy(&v4->sin_port, p + 8, 2);
        return true;
    case 0x21:
        if (size < 36)
            return false;
        v6->sin6_family = AF_INET6;
        memcpy(&v6->sin6_addr, p, 16);
        memcpy(&v6->sin6_port, p + 32, 2);
        return true;
    case 0x31: /* a Unix socket: there is no address to tell */
    case 0x00:
        return true;
    default:
        return false;
    }
}

static ssize_t parse_v2(struct proxy_header *header, const char *p, size_t size)
{
    size_t length;

    if (size < V2_HEAD)
        return 0;
    length = big_endian(p + 14);
    if ((p[12] != 0x20 && p[12] != 0x21) || V2_HEAD + length > PROXY_MOST)
        return -EBADMSG;
    if (size < V2_HEAD + length)
        return 0;
    if (p[12] == 0x21 && !take_address(header, (unsigned char)p[13], p + V2_HEAD, length))
        return -EBADMSG;
    return (ssize_t)(V2_HEAD + length);
}

ssize_t proxy_parse(struct proxy_header *header, const char *p, size_t size)
{
    memset(header, 0, sizeof(*header));
    if (!memcmp(p, "PROXY ", smaller(size, 6)))
        return size < 6 ? 0 : parse_v1(header, p, size);
    if (!memcmp(p, v2_signature, smaller(size, sizeof(v2_signature))))
        return size < sizeof(v2_signature) ? 0 : parse_v2(header, p, size);
    return -EBADMSG;
}
