/*
 * gethostby.c: gethostbyname, gethostbyname2, gethostbyaddr and their reentrant forms.
 *
 * These put their answer into the caller's memory: a struct hostent, and in a buffer all that it points at. The plain
 * forms return memory of their own that lasts until the next call, whosever, as libc's do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "libc/names/dns.h"
#include "base/mem.h"
#include "libc/runtime/park.h"
#include "base/real.h"

/* What all the reentrant forms are given to fill in. */
struct place {
    struct hostent *host;
    char *buf;
    size_t size;
    struct hostent **result;
    int *h_error;
};

/* ---- filling in ---- */

/* Bytes of the buffer, aligned for pointers; NULL if it is too small. */
static void *take(struct place *place, size_t size)
{
    size_t skip = -(uintptr_t)place->buf % sizeof(void *);
    char *bytes = place->buf + skip;

    if (place->size < skip + size)
        return NULL;
    place->buf += skip + size;
    place->size -= skip + size;
    return bytes;
}

static char *take_string(struct place *place, const char *string)
{
    size_t size = strlen(string) + 1;
    char *bytes = take(place, size);

    return bytes ? memcpy(bytes, string, size) : NULL;
}

static bool fill_aliases(struct place *place, const struct dns_answer *answer)
{
    char **list = place->host->h_aliases = take(place, (answer->alias_count + 1) * sizeof(char *));

    if (!list)
        return false;
    for (const struct dns_alias *alias = answer->aliases; alias; alias = alias->next) {
        *list = take_string(place, alias->name);
        if (!*list++)
            return false;
    }
    *list = NULL;
    return true;
}

static bool fill_addresses(struct place *place, const struct dns_answer *answer)
{
    size_t size = (size_t)place->host->h_length;
    char **list = place->host->h_addr_list = take(place, (answer->address_count + 1) * sizeof(char *));

    if (!list)
        return false;
    for (const struct dns_address *address = answer->addresses; address; address = address->next) {
        *list = take(place, size);
        if (!*list)
            return false;
        memcpy(*list++, address->bytes, size);
    }
    *list = NULL;
    return true;
}

/* 0, or ERANGE. */
static int fill(struct place *place, int family, const struct dns_answer *answer)
{
    struct hostent *host = place->host;

    host->h_addrtype = family;
    host->h_length = family == AF_INET ? 4 : 16;
    host->h_name = take_string(place, answer->name);
    if (!host->h_name || !fill_aliases(place, answer) || !fill_addresses(place, answer)) {
        *place->h_error = NETDB_INTERNAL;
        return ERANGE;
    }
    *place->result = host;
    *place->h_error = NETDB_SUCCESS;
    return 0;
}

/* What the reentrant forms return where there is no answer; the values are glibc's. */
static int fail(const struct place *place, int h_error, const struct dns_answer *answer)
{
    *place->h_error = h_error;
    if (h_error == NETDB_INTERNAL)
        return errno;
    return h_error == NO_RECOVERY || (h_error == TRY_AGAIN && answer->unanswered) ? EAGAIN : 0;
}

/* ---- asking ---- */

static int ask_name(struct place *place, const char *name, int family)
{
    struct dns_answer answer;
    int h_error, err;

    dns_answer_init(&answer);
    h_error = dns_find_addresses(name, family, false, &answer);
    err = h_error ? fail(place, h_error, &answer) : fill(place, family, &answer);
    dns_answer_release(&answer);
    return err;
}

static int ask_address(struct place *place, const void *address, int family)
{
    struct dns_answer answer;
    int h_error, err;

    dns_answer_init(&answer);
    h_error = dns_find_name(address, family, &answer);
    err = h_error ? fail(place, h_error, &answer) : fill(place, answer.addresses->family, &answer);
    dns_answer_release(&answer);
    return err;
}

/* ---- libc's own, on a thread ---- */

struct call {
    struct place *place;
    const char *name; /* or, if NULL: */
    const void *address;
    socklen_t size;
    int family;
};

static int call_libc(void *arg)
{
    const struct call *call = arg;
    const struct place *p = call->place;

    if (call->name)
        return real()->gethostbyname2_r(call->name, call->family, p->host, p->buf, p->size, p->result, p->h_error);
    return real()->gethostbyaddr_r(call->address, call->size, call->family, p->host, p->buf, p->size, p->result,
                                   p->h_error);
}

/* ---- the reentrant forms ---- */

static bool passes(void)
{
    return !coro_self() || !park_possible();
}

int gethostbyname2_r(const char *name, int family, struct hostent *host, char *buf, size_t size,
                     struct hostent **result, int *h_error)
{
    struct place place = {host, buf, size, result, h_error};
    enum resolver_way way = RESOLVER_LIBC;

    if (!passes() && (family == AF_INET || family == AF_INET6))
        way = resolver_for_name(name, family);
    if (way == RESOLVER_LIBC)
        return real()->gethostbyname2_r(name, family, host, buf, size, result, h_error);
    *result = NULL;
    if (way == RESOLVER_THREAD)
        return wait_offload(call_libc, &(struct call){.place = &place, .name = name, .family = family});
    return ask_name(&place, name, family);
}

int gethostbyname_r(const char *name, struct hostent *host, char *buf, size_t size, struct hostent **result,
                    int *h_error)
{
    if (passes())
        return real()->gethostbyname_r(name, host, buf, size, result, h_error);
    return gethostbyname2_r(name, AF_INET, host, buf, size, result, h_error);
}

int gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *host, char *buf, size_t size,
                    struct hostent **result, int *h_error)
{
    struct place place = {host, buf, size, result, h_error};
    struct call call = {.place = &place, .address = address, .size = length, .family = family};
    enum resolver_way way = RESOLVER_LIBC;

    if (!passes() && length == (family == AF_INET6 ? 16 : 4))
        way = resolver_for_address(address, family);
    if (way == RESOLVER_LIBC)
        return real()->gethostbyaddr_r(address, length, family, host, buf, size, result, h_error);
    *result = NULL;
    if (way == RESOLVER_THREAD)
        return wait_offload(call_libc, &call);
    return ask_address(&place, address, family);
}

/* ---- the plain forms ---- */

#define FIRST_SIZE 1024

/* An answer in the making. Others may park and finish theirs meanwhile. */
struct plain {
    struct hostent host;
    char *buf;
    size_t size;
    struct hostent *result;
    int err, h_error;
};

/* Before the first try, and after each: whether to try, with a larger buffer than before. */
static bool plain_grows(struct plain *p)
{
    if (p->buf && !(p->err == ERANGE && p->h_error == NETDB_INTERNAL))
        return false;
    p->size = p->buf ? p->size * 2 : FIRST_SIZE;
    p->buf = xrealloc(p->buf, p->size);
    return true;
}

static struct hostent *plain_finish(struct plain *p)
{
    static struct plain last;

    h_errno = p->h_error;
    if (!p->result) {
        free(p->buf);
        return NULL;
    }
    free(last.buf);
    last = *p;
    return &last.host;
}

struct hostent *gethostbyname2(const char *name, int family)
{
    struct plain p = {0};

    if (passes())
        return real()->gethostbyname2(name, family);
    while (plain_grows(&p))
        p.err = gethostbyname2_r(name, family, &p.host, p.buf, p.size, &p.result, &p.h_error);
    return plain_finish(&p);
}

struct hostent *gethostbyname(const char *name)
{
    return passes() ? real()->gethostbyname(name) : gethostbyname2(name, AF_INET);
}

struct hostent *gethostbyaddr(const void *address, socklen_t length, int family)
{
    struct plain p = {0};

    if (passes())
        return real()->gethostbyaddr(address, length, family);
    while (plain_grows(&p))
        p.err = gethostbyaddr_r(address, length, family, &p.host, p.buf, p.size, &p.result, &p.h_error);
    return plain_finish(&p);
}
