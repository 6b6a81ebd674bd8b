/*
 * resolver.c: who answers a question about names: libc at once, libc on a thread, or DNS asked from here.
 *
 * libc itself answers whatever needs no network: numbers, and what /etc/hosts has. It does so better than any
 * imitation, with its rules for aliases, families and order. So hosts is only searched here to see whether libc will
 * find the name there. Both files are read again when they have changed. If nsswitch.conf names other sources than
 * these two, "files dns", or the environment names a file of aliases, libc is asked on a thread, as with the setting
 * `resolver = system`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libc/names/dns.h"
#include "base/mem.h"
#include "log/log.h"

#define NSSWITCH "/etc/nsswitch.conf"

static enum libc_resolver setting;
static const char *hosts_path = "/etc/hosts";

/* ---- files, read again when they change ---- */

struct text {
    char *bytes; /* NUL-terminated; NULL before the first reading */
    struct stat st;
};

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static char *read_file(const char *path)
{
    char *bytes = xcalloc(1, 1);
    size_t size = 0, got;
    FILE *file = fopen(path, "re");
    char buf[4096];

    if (!file)
        return bytes; /* as good as empty */
    while ((got = fread(buf, 1, sizeof(buf), file)) > 0) {
        bytes = xrealloc(bytes, size + got + 1);
        memcpy(bytes + size, buf, got);
        size += got;
        bytes[size] = '\0';
    }
    fclose(file);
    return bytes;
}

/* Have text hold the file as it is now. True if it has changed since the last time. */
static bool text_refresh(struct text *text, const char *path)
{
    struct stat st = {0};

    if (stat(path, &st) < 0)
        st = (struct stat){0};
    if (text->bytes && is_same(&st, &text->st))
        return false;
    free(text->bytes);
    text->bytes = read_file(path);
    text->st = st;
    return true;
}

/* Words of a line, up to a comment. */
static bool next_word(const char **at, char *word, size_t size)
{
    size_t length;

    *at += strspn(*at, " \t\r");
    length = strcspn(*at, " \t\r\n#");
    if (length == 0)
        return false;
    snprintf(word, size, "%.*s", (int)length, *at);
    *at += length;
    return true;
}

static const char *next_line(const char *at)
{
    at += strcspn(at, "\n");
    return *at ? at + 1 : NULL;
}

/* ---- nsswitch.conf ---- */

/* Whether the line `hosts:` says "files dns", as it does where nobody has changed it. */
static bool is_files_dns(const char *line)
{
    char first[16], second[16], more[16];

    return next_word(&line, first, sizeof(first)) && next_word(&line, second, sizeof(second)) &&
           !next_word(&line, more, sizeof(more)) && strcmp(first, "files") == 0 && strcmp(second, "dns") == 0;
}

static bool sources_are_ours(void)
{
    static struct text text;
    static bool ours;

    if (!text_refresh(&text, NSSWITCH))
        return ours;
    ours = text.bytes[0] == '\0'; /* no file: libc's default differs in nothing we do */
    for (const char *line = text.bytes; line; line = next_line(line))
        if (strncmp(line, "hosts:", 6) == 0)
            ours = is_files_dns(line + 6);
    if (!ours)
        log_info("%s names other sources of host names than \"files dns\": names are looked up by libc on threads",
                 NSSWITCH);
    return ours;
}

/* ---- hosts ---- */

/* Whether libc takes this address for one of that family. To IPv4, it lends those of IPv6 that have a counterpart. */
static bool is_of_family(const char *text, int family)
{
    unsigned char bytes[16];

    if (family != AF_INET6 && inet_pton(AF_INET, text, bytes) == 1)
        return true;
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    return family != AF_INET || IN6_IS_ADDR_V4MAPPED((struct in6_addr *)bytes) ||
           IN6_IS_ADDR_LOOPBACK((struct in6_addr *)bytes);
}

static bool is_named(const char *at, const char *name)
{
    char word[NI_MAXHOST];

    while (next_word(&at, word, sizeof(word)))
        if (strcasecmp(word, name) == 0)
            return true;
    return false;
}

static struct text hosts;

static bool hosts_have_name(const char *name, int family)
{
    char address[NI_MAXHOST];

    text_refresh(&hosts, hosts_path);
    for (const char *line = hosts.bytes; line; line = next_line(line)) {
        const char *at = line;

        if (next_word(&at, address, sizeof(address)) && is_named(at, name) && is_of_family(address, family))
            return true;
    }
    return false;
}

static bool hosts_have_address(const void *address, int family)
{
    char word[NI_MAXHOST];
    unsigned char bytes[16];

    text_refresh(&hosts, hosts_path);
    for (const char *line = hosts.bytes; line; line = next_line(line)) {
        const char *at = line;

        if (next_word(&at, word, sizeof(word)) && inet_pton(family, word, bytes) == 1 &&
            memcmp(bytes, address, family == AF_INET ? 4 : 16) == 0)
            return true;
    }
    return false;
}

void resolver_use_hosts(const char *path)
{
    hosts_path = path ? path : "/etc/hosts";
}

/* ---- who answers ---- */

void resolver_init(enum libc_resolver resolver)
{
    setting = resolver;
}

static bool is_number(const char *name)
{
    struct in_addr in;
    struct in6_addr in6;
    char part[INET6_ADDRSTRLEN];

    if (inet_aton(name, &in))
        return true;
    snprintf(part, sizeof(part), "%.*s", (int)strcspn(name, "%"), name); /* without the scope */
    return inet_pton(AF_INET6, part, &in6) == 1;
}

enum resolver_way resolver_for_name(const char *name, int family)
{
    if (is_number(name))
        return RESOLVER_LIBC;
    if (setting == LIBC_RESOLVER_SYSTEM || !sources_are_ours() || getenv("HOSTALIASES"))
        return RESOLVER_THREAD;
    return hosts_have_name(name, family) ? RESOLVER_LIBC : RESOLVER_DNS;
}

enum resolver_way resolver_for_address(const void *address, int family)
{
    if (family != AF_INET && family != AF_INET6)
        return RESOLVER_LIBC;
    if (setting == LIBC_RESOLVER_SYSTEM || !sources_are_ours())
        return RESOLVER_THREAD;
    return hosts_have_address(address, family) ? RESOLVER_LIBC : RESOLVER_DNS;
}
