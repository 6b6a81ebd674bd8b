/*
 * address.c: listen addresses.
 *
 * Names are not resolved: which address a server listens on must not hang on DNS at the time it starts. localhost is
 * 127.0.0.1; * and an empty host are every IPv4 address; IPv6 is written out, [::]:8080, as in nginx.
 */
#include "settings/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Port 0 lets the kernel choose one. -1 if s is no port. */
static long parse_port(const char *s)
{
    long port = strtol(s, NULL, 10);

    if (!*s || strlen(s) > 5 || s[strspn(s, "0123456789")] || port > 65535)
        return -1;
    return port;
}

static const char *parse_unix(struct address *a, const char *path)
{
    if (*path != '/')
        return "a socket needs an absolute path, such as unix:/run/app.sock or unix:%(here)/app.sock";
    if (strlen(path) >= sizeof(a->sa.un.sun_path))
        return "the path of a socket has at most 107 bytes";
    a->sa.un.sun_family = AF_UNIX;
    strcpy(a->sa.un.sun_path, path);
    a->size = sizeof(a->sa.un);
    return NULL;
}

static const char *parse_in6(struct address *a, const char *host, long port)
{
    if (inet_pton(AF_INET6, host, &a->sa.in6.sin6_addr) != 1)
        return "expected an IPv6 address between the brackets";
    a->sa.in6.sin6_family = AF_INET6;
    a->sa.in6.sin6_port = htons(port);
    a->size = sizeof(a->sa.in6);
    return NULL;
}

static const char *parse_in(struct address *a, const char *host, long port)
{
    if (!*host || strcmp(host, "*") == 0)
        host = "0.0.0.0";
    else if (strcasecmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &a->sa.in.sin_addr) != 1)
        return "expected a numeric address, localhost or * before the port (IPv6 in brackets); names are not resolved";
    a->sa.in.sin_family = AF_INET;
    a->sa.in.sin_port = htons(port);
    a->size = sizeof(a->sa.in);
    return NULL;
}

const char *address_parse(struct address *a, const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[64];
    size_t size;
    long port;

    *a = (struct address){.text = text};
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(a, text + 5);
    if (!colon)
        return "expected HOST:PORT, :PORT, [IPv6]:PORT or unix:/path";
    port = parse_port(colon + 1);
    if (port < 0)
        return "expected a port of 0 to 65535 after the last \":\"";
    size = colon - text;
    if (size >= sizeof(host))
        return "the host is too long for a numeric address";
    memcpy(host, text, size);
    host[size] = '\0';
    if (size < 2 || host[0] != '[' || host[size - 1] != ']')
        return parse_in(a, host, port);
    host[size - 1] = '\0';
    return parse_in6(a, host + 1, port);
}

const char *address_option(struct address *a, const char *word)
{
    if (strcmp(word, "proxy-protocol") == 0)
        a->proxied = true;
    else if (strncmp(word, "protocol=", 9) != 0)
        return "expected proxy-protocol or protocol=http behind the address";
    else if (strcmp(word + 9, "http") != 0)
        return "this version speaks no protocol but http";
    return NULL;
}
