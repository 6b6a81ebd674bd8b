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
#include <sys/stat.h>

#include "base/mem.h"
#include "log/log.h"

#define NSSWITCH "/etc/nsswitch.conf"

static enum resolver setting;
static const char *hosts_path = "/etc/hosts";

/* ---- files that are read again when they change ---- */

struct text_file {
    char *text;     /* NUL-terminated, owned; NULL before it is read for the first time */
    struct stat st; /* of the file when it was read */
};

static bool is_same_version(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Returns what the file contains; "" if it cannot be read. */
static char *text_file_read(const char *path)
{
    char *bytes = xcalloc(1, 1);
    size_t size = 0, got;
    FILE *file = fopen(path, "re");
    char buf[4096];

    if (!file)
        return bytes;
    while ((got = fread(buf, 1, sizeof(buf), file)) > 0) {
        bytes = xrealloc(bytes, size + got + 1);
        memcpy(bytes + size, buf, got);
        size += got;
        bytes[size] = '\0';
    }
    fclose(file);
    return bytes;
}

/* Read the file if it has changed since the last time, and return whether it has. */
static bool text_file_refresh(struct text_file *file, const char *path)
{
    struct stat st = {0};

    if (stat(path, &st) < 0)
        st = (struct stat){0};
    if (file->text && is_same_version(&st, &file->st))
        return false;
    free(file->text);
    file->text = text_file_read(path);
    file->st = st;
    return true;
}

/* Copy the next word of a line and step over it. Returns false at the end of the line or at a comment. */
static bool text_next_word(const char **at, char *word, size_t size)
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

/* Returns NULL after the last line. */
static const char *text_next_line(const char *at)
{
    at += strcspn(at, "\n");
    return *at ? at + 1 : NULL;
}

/* ---- nsswitch.conf ---- */

/* Whether the line `hosts:` says "files dns", which is the default of most systems. */
static bool is_files_dns(const char *line)
{
    char first[16], second[16], more[16];

    return text_next_word(&line, first, sizeof(first)) && text_next_word(&line, second, sizeof(second)) &&
           !text_next_word(&line, more, sizeof(more)) && !strcmp(first, "files") && !strcmp(second, "dns");
}

/* Whether host names come from hosts and DNS, and from nothing else. */
static bool uses_files_dns(void)
{
    static struct text_file file;
    static bool yes;

    if (!text_file_refresh(&file, NSSWITCH))
        return yes;
    yes = file.text[0] == '\0'; /* without the file, libc's default comes to the same */
    for (const char *line = file.text; line; line = text_next_line(line))
        if (!strncmp(line, "hosts:", 6))
            yes = is_files_dns(line + 6);
    if (!yes)
        log_info("%s: hosts is not \"files dns\": host names are resolved by libc, on threads", NSSWITCH);
    return yes;
}

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
    if (setting == RESOLVER_SYSTEM || !uses_files_dns() || getenv("HOSTALIASES"))
        return RESOLVER_SYSTEM;
    return hosts_have_name(name, family) ? RESOLVER_LOCAL : RESOLVER_CARES;
}

enum resolver resolver_for_address(const void *address, int family)
{
    if (family != AF_INET && family != AF_INET6)
        return RESOLVER_LOCAL;
    if (setting == RESOLVER_SYSTEM || !uses_files_dns())
        return RESOLVER_SYSTEM;
    return hosts_have_address(address, family) ? RESOLVER_LOCAL : RESOLVER_CARES;
}
