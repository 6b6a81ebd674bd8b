/*
 * resolver.c: who resolves a name or an address.
 *
 * libc itself answers what does not need the network: numeric addresses, and names in /etc/hosts, for which it has
 * rules about aliases, families and order that we do not want to imitate. So hosts is searched here only to find out
 * whether libc will find the name there. If nsswitch.conf names other sources than "files dns", or the environment a
 * file of aliases, libc is asked on a thread, as with `resolver = system`. Both files are read again when they have
 * changed.
 */
#include "libc/names/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libc/names/nsswitch.h"
#include "libc/names/text_file.h"

static enum resolver setting;
static const char *hosts_path = "/etc/hosts";

/* ---- hosts ---- */

/* Whether libc finds this address for that family: for IPv4 also those of IPv6 that have a counterpart. */
static bool hosts_address_matches(const char *text, int family)
{
    unsigned char bytes[16];

    if (family != AF_INET6 && inet_pton(AF_INET, text, bytes) == 1)
        return true;
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    return family != AF_INET || IN6_IS_ADDR_V4MAPPED((struct in6_addr *)bytes) ||
           IN6_IS_ADDR_LOOPBACK((struct in6_addr *)bytes);
}

static bool hosts_line_has(const char *at, const char *name)
{
    char word[NI_MAXHOST];

    while (text_next_word(&at, word, sizeof(word)))
        if (!strcasecmp(word, name))
            return true;
    return false;
}

static struct text_file hosts;

static bool hosts_have_name(const char *name, int family)
{
    char address[NI_MAXHOST];

    text_file_refresh(&hosts, hosts_path);
    for (const char *line = hosts.text; line; line = text_next_line(line)) {
        const char *at = line;

        if (text_next_word(&at, address, sizeof(address)) && hosts_line_has(at, name) &&
            hosts_address_matches(address, family))
            return true;
    }
    return false;
}

static bool hosts_have_address(const void *address, int family)
{
    char word[NI_MAXHOST];
    unsigned char bytes[16];

    text_file_refresh(&hosts, hosts_path);
    for (const char *line = hosts.text; line; line = text_next_line(line)) {
        const char *at = line;

        if (text_next_word(&at, word, sizeof(word)) && inet_pton(family, word, bytes) == 1 &&
            memcmp(bytes, address, family == AF_INET ? 4 : 16) == 0)
            return true;
    }
    return false;
}

void resolver_use_hosts(const char *path)
{
    hosts_path = path ? path : "/etc/hosts";
}

/* ---- who resolves ---- */

void resolver_init(enum resolver resolver)
{
    setting = resolver;
}

static bool name_is_numeric(const char *name)
{
    struct in_addr in;
    struct in6_addr in6;
    char part[INET6_ADDRSTRLEN];

    if (inet_aton(name, &in))
        return true;
    snprintf(part, sizeof(part), "%.*s", (int)strcspn(name, "%"), name); /* without the scope */
    return inet_pton(AF_INET6, part, &in6) == 1;
}

enum resolver resolver_for_name(const char *name, int family)
{
    if (name_is_numeric(name))
        return RESOLVER_LOCAL;
    if (setting == RESOLVER_SYSTEM || !nsswitch_hosts_are_plain() || getenv("HOSTALIASES"))
        return RESOLVER_SYSTEM;
    return hosts_have_name(name, family) ? RESOLVER_LOCAL : RESOLVER_CARES;
}

enum resolver resolver_for_address(const void *address, int family)
{
    if (family != AF_INET && family != AF_INET6)
        return RESOLVER_LOCAL;
    if (setting == RESOLVER_SYSTEM || !nsswitch_hosts_are_plain())
        return RESOLVER_SYSTEM;
    return hosts_have_address(address, family) ? RESOLVER_LOCAL : RESOLVER_CARES;
}
