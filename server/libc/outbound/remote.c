/*
 * remote.c: the other ends of connections, read from text and compared with addresses.
 *
 * A name stands for the addresses that the application has looked up by it (outbound.c): connect() is given no names.
 */
#include "libc/outbound/remote.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char *parse_unix_remote(struct remote *remote, const char *path)
{
    if (*path != '/' && *path != '@')
        return "a socket needs an absolute path, such as unix:/run/postgresql/.s.PGSQL.5432";
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return "the path of a socket has at most 107 bytes";
    remote->kind = REMOTE_UNIX;
    strcpy(remote->name, path);
    return NULL;
}

static const char *parse_host(struct remote *remote, const char *host, bool in_brackets)
{
    const char *why = network_parse(&remote->network, host);

    if (!why || in_brackets || strchr(host, '/')) {
        remote->kind = REMOTE_NETWORK;
        return why;
    }
    remote->kind = REMOTE_HOST;
    for (char *to = remote->name; (*to = (char)tolower((unsigned char)*host)); to++, host++)
        if (!isalnum((unsigned char)*host) && !strchr("-._", *host))
            return "expected a host name, an address, a network such as 10.0.0.0/8, or unix:/path";
    return *remote->name ? NULL : "expected a host name or an address before the port";
}

const char *remote_parse(struct remote *remote, const char *text)
{
    bool in_brackets = *text == '[';
    const char *last = strrchr(text, ':'), *end = text + strlen(text), *colon = end;
    char host[REMOTE_NAME_SIZE];

    memset(remote, 0, sizeof(*remote));
    if (!strncmp(text, "unix:", 5))
        return parse_unix_remote(remote, text + 5);
    if (last && (in_brackets ? last[-1] == ']' : last == strchr(text, ':'))) /* with two colons an IPv6 address */
        colon = last;
    if (*colon && (!address_parse_port(&remote->port, colon + 1) || !remote->port))
        return "expected a port of 1 to 65535 after the last \":\"";
    if (in_brackets && colon[-1] != ']')
        return "expected \"]\" after the IPv6 address";
    if ((size_t)(colon - text) >= sizeof(host))
        return "the host name is too long";
    memcpy(host, text, colon - text);
    host[colon - text - in_brackets] = '\0';
    return parse_host(remote, host + in_brackets, in_brackets);
}

bool remote_has_port(const struct remote *remote, const struct sockaddr *to)
{
    return !remote->port || remote->port == ntohs(((const struct sockaddr_in *)to)->sin_port); /* the same in IPv6 */
}

/* Whether two paths lead to one socket: on Debian libpq writes /var/run for /run. */
static bool same_file(const char *path, const char *other)
{
    struct stat one, two;

    return stat(path, &one) == 0 && stat(other, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

static bool has_path(const struct remote *remote, const struct sockaddr_un *to, socklen_t size)
{
    size_t space = size - offsetof(struct sockaddr_un, sun_path);
    char path[sizeof(to->sun_path) + 1];

    if (size <= offsetof(struct sockaddr_un, sun_path))
        return false;
    if (*remote->name == '@')
        return !*to->sun_path && space == strlen(remote->name) &&
               !memcmp(to->sun_path + 1, remote->name + 1, space - 1);
    snprintf(path, sizeof(path), "%.*s", (int)space, to->sun_path);
    return *path && (!strcmp(path, remote->name) || same_file(path, remote->name));
}

bool remote_has_address(const struct remote *remote, const struct sockaddr *to, socklen_t size)
{
    struct in6_addr ip;

    if (remote->kind == REMOTE_UNIX)
        return to->sa_family == AF_UNIX && has_path(remote, (const struct sockaddr_un *)to, size);
    return remote->kind == REMOTE_NETWORK && address_ip(&ip, to) && network_has(&remote->network, &ip) &&
           remote_has_port(remote, to);
}

bool remote_has_name(const struct remote *remote, const char *name)
{
    size_t size = strlen(remote->name);

    return remote->kind == REMOTE_HOST && !strncasecmp(name, remote->name, size) &&
           (!name[size] || (name[size] == '.' && !name[size + 1]));
}

unsigned remote_rank(const struct remote *remote)
{
    return 2 * (remote->kind == REMOTE_NETWORK ? remote->network.bits : 128) + (remote->port != 0);
}
