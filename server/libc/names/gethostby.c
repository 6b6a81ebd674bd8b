/*
 * gethostby.c: gethostbyname, gethostbyname2, gethostbyaddr and their reentrant forms.
 *
 * The reentrant forms write the answer into the caller's memory: a struct hostent, and all that it points to into a
 * buffer. The plain forms return memory of their own, which is valid until the next call of any coroutine, as libc's is
 * until that of any thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/dns/dns.h"
#include "libc/names/resolver.h"
#include "libc/outbound/outbound.h"
#include "libc/runtime/park.h"

/* The memory of the caller of a reentrant form. */
struct host_out {
    struct hostent *host;
    char *buf;
    size_t size;
    struct hostent **result;
    int *h_error;
};

/* ---- filling in ---- */

/* Returns free bytes of the buffer, aligned for pointers; NULL if there are too few. */
static void *host_alloc(struct host_out *out, size_t size)
{
    size_t skip = -(uintptr_t)out->buf % sizeof(void *);
    char *bytes = out->buf + skip;

    if (out->size < skip + size)
        return NULL;
    out->buf += skip + size;
    out->size -= skip + size;
    return bytes;
}

static char *host_strdup(struct host_out *out, const char *string)
{
    size_t size = strlen(string) + 1;
    char *bytes = host_alloc(out, size);

    return bytes ? memcpy(bytes, string, size) : NULL;
}

static bool host_set_aliases(struct host_out *out, const struct dns_answer *answer)
{
    char **list = out->host->h_aliases = host_alloc(out, (answer->alias_count + 1) * sizeof(char *));

    if (!list)
        return false;
    for (const struct dns_alias *alias = answer->aliases; alias; alias = alias->next) {
        *list = host_strdup(out, alias->name);
        if (!*list++)
            return false;
    }
    *list = NULL;
    return true;
}

static bool host_set_addresses(struct host_out *out, const struct dns_answer *answer)
{
    size_t size = (size_t)out->host->h_length;
    char **list = out->host->h_addr_list = host_alloc(out, (answer->address_count + 1) * sizeof(char *));

    if (!list)
        return false;
    for (const struct dns_address *address = answer->addresses; address; address = address->next) {
        *list = host_alloc(out, size);
        if (!*list)
            return false;
        memcpy(*list++, address->bytes, size);
    }
    *list = NULL;
    return true;
}

/* Returns 0 or ERANGE. */
static int host_set(struct host_out *out, int family, const struct dns_answer *answer)
{
    struct hostent *host = out->host;

    host->h_addrtype = family;
    host->h_length = family == AF_INET ? 4 : 16;
    host->h_name = host_strdup(out, answer->name);
    if (!host->h_name || !host_set_aliases(out, answer) || !host_set_addresses(out, answer)) {
        *out->h_error = NETDB_INTERNAL;
        return ERANGE;
    }
    *out->result = host;
    *out->h_error = NETDB_SUCCESS;
    return 0;
}

/* Returns what glibc's reentrant forms return if there is no answer. */
static int host_fail(const struct host_out *out, int h_error, const struct dns_answer *answer)
{
    *out->h_error = h_error;
    if (h_error == NETDB_INTERNAL)
        return errno;
    if (h_error == NO_RECOVERY)
        return answer->err;
    return h_error == TRY_AGAIN && answer->unanswered ? EAGAIN : 0;
}

/* ---- asking ---- */

static int host_by_name(struct host_out *out, const char *name, int family)
{
    struct dns_answer answer;
    int h_error, err;

    dns_answer_init(&answer);
    h_error = dns_find_addresses(name, family, false, &answer);
    err = h_error ? host_fail(out, h_error, &answer) : host_set(out, family, &answer);
    dns_answer_release(&answer);
    return err;
}

static int host_by_address(struct host_out *out, const void *address, int family)
{
    struct dns_answer answer;
    int h_error, err;

    dns_answer_init(&answer);
    h_error = dns_find_name(address, family, &answer);
    err = h_error ? host_fail(out, h_error, &answer) : host_set(out, answer.addresses->family, &answer);
    dns_answer_release(&answer);
    return err;
}

/* ---- libc's own, on a thread ---- */

struct host_call {
    struct host_out *out;
    const char *name; /* NULL: the address */
    const void *address;
    socklen_t size;
    int family;
};

static int host_call_libc(void *arg)
{
    const struct host_call *call = arg;
    const struct host_out *p = call->out;

    if (call->name)
        return real()->gethostbyname2_r(call->name, call->family, p->host, p->buf, p->size, p->result, p->h_error);
    return real()->gethostbyaddr_r(call->address, call->size, call->family, p->host, p->buf, p->size, p->result,
                                   p->h_error);
}

/* ---- the reentrant forms ---- */

static bool host_passes(void)
{
    return !coro_self() || !park_possible();
}

static int host_find(const char *name, int family, struct hostent *host, char *buf, size_t size,
                     struct hostent **result, int *h_error)
{
    struct host_out out = {host, buf, size, result, h_error};
    enum resolver way = RESOLVER_LOCAL;

    if (!host_passes() && (family == AF_INET || family == AF_INET6))
        way = resolver_for_name(name, family);
    if (way == RESOLVER_LOCAL)
        return real()->gethostbyname2_r(name, family, host, buf, size, result, h_error);
    *result = NULL;
    if (way == RESOLVER_SYSTEM)
        return wait_offload_for(FOR_DNS, name, host_call_libc,
                                &(struct host_call){.out = &out, .name = name, .family = family});
    return host_by_name(&out, name, family);
}

int gethostbyname2_r(const char *name, int family, struct hostent *host, char *buf, size_t size,
                     struct hostent **result, int *h_error)
{
    int err = host_find(name, family, host, buf, size, result, h_error);

    if (outbound_used && !err && *result)
        outbound_learn_host(name, *result);
    return err;
}

int gethostbyname_r(const char *name, struct hostent *host, char *buf, size_t size, struct hostent **result,
                    int *h_error)
{
    if (host_passes() && !outbound_used)
        return real()->gethostbyname_r(name, host, buf, size, result, h_error);
    return gethostbyname2_r(name, AF_INET, host, buf, size, result, h_error);
}

int gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *host, char *buf, size_t size,
                    struct hostent **result, int *h_error)
{
    struct host_out out = {host, buf, size, result, h_error};
    struct host_call call = {.out = &out, .address = address, .size = length, .family = family};
    enum resolver way = RESOLVER_LOCAL;

    if (!host_passes() && length == (family == AF_INET6 ? 16 : 4))
        way = resolver_for_address(address, family);
    if (way == RESOLVER_LOCAL)
        return real()->gethostbyaddr_r(address, length, family, host, buf, size, result, h_error);
    *result = NULL;
    if (way == RESOLVER_SYSTEM)
        return wait_offload_for(FOR_DNS, NULL, host_call_libc, &call);
    return host_by_address(&out, address, family);
}

/* ---- the plain forms ---- */

#define FIRST_SIZE 1024 /* bytes */

/* An answer that is not complete yet: while its coroutine parks, another may complete one. */
struct plain_host {
    struct hostent host;
    char *buf;
    size_t size;
    struct hostent *result;
    int err, h_error;
};

/* Before each try: allocate the buffer, or a larger one if the last was too small. Returns false if it was not. */
static bool plain_host_grow(struct plain_host *p)
{
    if (p->buf && !(p->err == ERANGE && p->h_error == NETDB_INTERNAL))
        return false;
    p->size = p->buf ? p->size * 2 : FIRST_SIZE;
    p->buf = xrealloc(p->buf, p->size);
    return true;
}

/* Make it the answer that is returned. */
static struct hostent *plain_host_finish(struct plain_host *p)
{
    static struct plain_host last;

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
    struct plain_host p = {0};

    if (host_passes() && !outbound_used)
        return real()->gethostbyname2(name, family);
    while (plain_host_grow(&p))
        p.err = gethostbyname2_r(name, family, &p.host, p.buf, p.size, &p.result, &p.h_error);
    return plain_host_finish(&p);
}

struct hostent *gethostbyname(const char *name)
{
    if (host_passes() && !outbound_used)
        return real()->gethostbyname(name);
    return gethostbyname2(name, AF_INET);
}

struct hostent *gethostbyaddr(const void *address, socklen_t length, int family)
{
    struct plain_host p = {0};

    if (host_passes())
        return real()->gethostbyaddr(address, length, family);
    while (plain_host_grow(&p))
        p.err = gethostbyaddr_r(address, length, family, &p.host, p.buf, p.size, &p.result, &p.h_error);
    return plain_host_finish(&p);
}
