/*
 * getaddrinfo.c: getaddrinfo.
 *
 * Names for which DNS is not needed are left to libc (resolver.c). For the others libc is first asked for a numeric
 * address with the caller's service and hints. That checks the arguments, with libc's error codes, and looks up the
 * service; the result is the pattern. Then each address found is listed once for every entry of the pattern, with its
 * socket type and protocol. Entries are allocated as libc does it, each in one block, so that libc's freeaddrinfo frees
 * them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/dns/dns.h"
#include "libc/names/resolver.h"
#include "libc/outbound/outbound.h"
#include "libc/runtime/park.h"

struct lookup {
    const char *node, *service;
    const struct addrinfo *hints; /* the caller's, or libc's default */
    int family;                   /* of the addresses that are wanted */
    struct addrinfo *pattern;
    struct addrinfo *first, **last; /* the result */
};

/* ---- entries ---- */

static socklen_t set_sockaddr(struct sockaddr_storage *to, const struct dns_address *from, in_port_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

    if (from->family == AF_INET) {
        in->sin_family = AF_INET;
        in->sin_port = port;
        memcpy(&in->sin_addr, from->bytes, 4);
        return sizeof(*in);
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = port;
    memcpy(&in6->sin6_addr, from->bytes, 16);
    return sizeof(*in6);
}

/* One entry; the address follows it in the same block, as freeaddrinfo expects. */
static void lookup_add_entry(struct lookup *q, const struct dns_address *address, const struct addrinfo *like)
{
    struct {
        struct addrinfo info;
        struct sockaddr_storage address;
    } *entry = xcalloc(1, sizeof(*entry));
    in_port_t port = ((const struct sockaddr_in *)like->ai_addr)->sin_port; /* at the same place in IPv6 */

    entry->info.ai_flags = q->hints->ai_flags;
    entry->info.ai_family = address->family;
    entry->info.ai_socktype = like->ai_socktype;
    entry->info.ai_protocol = like->ai_protocol;
    entry->info.ai_addr = (struct sockaddr *)&entry->address;
    entry->info.ai_addrlen = set_sockaddr(&entry->address, address, port);
    *q->last = &entry->info;
    q->last = &entry->info.ai_next;
}

/* Returns the IPv6 address that stands for an IPv4 one. */
static struct dns_address to_mapped(const struct dns_address *address)
{
    struct dns_address to = {.family = AF_INET6, .bytes = {[10] = 0xff, [11] = 0xff}};

    memcpy(to.bytes + 12, address->bytes, 4);
    return to;
}

static void lookup_add_answer(struct lookup *q, const struct dns_answer *answer)
{
    for (const struct dns_address *address = answer->addresses; address; address = address->next) {
        bool other = address->family == AF_INET && q->hints->ai_family == AF_INET6;
        struct dns_address shown = other ? to_mapped(address) : *address;

        for (const struct addrinfo *like = q->pattern; like; like = like->ai_next)
            lookup_add_entry(q, &shown, like);
    }
    if (q->first && !q->first->ai_canonname && q->hints->ai_flags & AI_CANONNAME)
        q->first->ai_canonname = xstrdup(answer->name);
}

/* ---- asking ---- */

static bool lookup_maps(const struct lookup *q)
{
    return q->hints->ai_family == AF_INET6 && q->hints->ai_flags & AI_V4MAPPED;
}

/* Returns the code of libc. simple: libc would use gethostbyname2_r here, which tells less. */
static int eai_of(int h_error, bool simple, const struct dns_answer *answer)
{
    switch (h_error) {
    case 0:
        return 0;
    case NO_DATA:
        return EAI_NODATA;
    case NO_RECOVERY:
        return simple && answer->useless ? EAI_NODATA : EAI_NONAME;
    case TRY_AGAIN:
        return simple && !answer->unanswered ? EAI_NONAME : EAI_AGAIN;
    case NETDB_INTERNAL:
        return errno == ENOMEM ? EAI_MEMORY : EAI_SYSTEM;
    default:
        return EAI_NONAME;
    }
}

static int lookup_ask(struct lookup *q, int family)
{
    bool simple = q->family == AF_INET && !(q->hints->ai_flags & AI_CANONNAME);
    struct dns_answer answer;
    int err;

    dns_answer_init(&answer);
    err = eai_of(dns_find_addresses(q->node, family, true, &answer), simple, &answer);
    if (!err)
        lookup_add_answer(q, &answer);
    dns_answer_release(&answer);
    return err;
}

/* AI_V4MAPPED: IPv4 addresses if there are no IPv6 ones; with AI_ALL, both. */
static int lookup_ask_mapping(struct lookup *q)
{
    int err, err_in;

    if (q->hints->ai_flags & AI_ALL)
        return lookup_ask(q, AF_UNSPEC);
    err = lookup_ask(q, AF_INET6);
    if (err != EAI_NONAME && err != EAI_NODATA && err != EAI_AGAIN)
        return err;
    err_in = lookup_ask(q, AF_INET);
    if (err_in == EAI_NODATA || err_in == EAI_AGAIN) /* neither family has an address, whatever the reason */
        return err == EAI_NONAME || err == err_in ? err : EAI_NODATA;
    return err_in;
}

static int lookup_make_pattern(struct lookup *q)
{
    struct addrinfo hints = *q->hints;

    hints.ai_flags = (hints.ai_flags & ~(AI_ADDRCONFIG | AI_CANONNAME)) | AI_NUMERICHOST;
    return real()->getaddrinfo(hints.ai_family == AF_INET6 ? "::1" : "127.0.0.1", q->service, &hints, &q->pattern);
}

static int lookup_by_dns(struct lookup *q, struct addrinfo **result)
{
    int err = lookup_make_pattern(q);

    if (err)
        return err;
    q->last = &q->first;
    err = lookup_maps(q) ? lookup_ask_mapping(q) : lookup_ask(q, q->family);
    freeaddrinfo(q->pattern);
    if (!err)
        *result = q->first;
    return err;
}

/* ---- libc's own, on a thread ---- */

struct lookup_call {
    const struct lookup *lookup;
    struct addrinfo **result;
    int err, saved_errno;
};

static int lookup_call_libc(void *arg)
{
    struct lookup_call *call = arg;
    const struct lookup *q = call->lookup;

    call->err = real()->getaddrinfo(q->node, q->service, q->hints, call->result);
    call->saved_errno = errno;
    return 0;
}

static int lookup_on_thread(const struct lookup *q, struct addrinfo **result)
{
    struct lookup_call call = {.lookup = q, .result = result};

    wait_offload_for(FOR_DNS, q->node, lookup_call_libc, &call);
    if (call.err == EAI_SYSTEM)
        errno = call.saved_errno;
    return call.err;
}

/* ---- AI_ADDRCONFIG ---- */

/* Whether this machine has an address of a family besides the loopback address. */
static bool has_family(const struct ifaddrs *list, int family)
{
    for (; list; list = list->ifa_next) {
        const struct sockaddr *address = list->ifa_addr;

        if (!address || address->sa_family != family)
            continue;
        if (family == AF_INET && ((const struct sockaddr_in *)address)->sin_addr.s_addr != htonl(INADDR_LOOPBACK))
            return true;
        if (family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr))
            return true;
    }
    return false;
}

/* Leave out the family that this machine does not have. Returns EAI_NONAME if it is the only one asked for. */
static int lookup_set_family(struct lookup *q)
{
    struct ifaddrs *list;
    bool in, in6;

    q->family = q->hints->ai_family;
    if (!(q->hints->ai_flags & AI_ADDRCONFIG) || getifaddrs(&list) < 0)
        return 0;
    in = has_family(list, AF_INET);
    in6 = has_family(list, AF_INET6);
    freeifaddrs(list);
    if (q->family == AF_UNSPEC && in != in6)
        q->family = in ? AF_INET : AF_INET6;
    return (q->family == AF_INET && !in) || (q->family == AF_INET6 && !in6) ? EAI_NONAME : 0;
}

/* ---- the call ---- */

static int lookup_run(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    static const struct addrinfo none = {.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG};
    struct lookup q = {.node = node, .service = service, .hints = hints ? hints : &none};
    int err;

    if (!coro_self() || !node || q.hints->ai_flags & AI_NUMERICHOST || !park_possible())
        return real()->getaddrinfo(node, service, hints, result);
    if (q.hints->ai_flags & (AI_IDN | AI_CANONIDN))
        return lookup_on_thread(&q, result);
    err = lookup_set_family(&q);
    if (err)
        return err;
    switch (resolver_for_name(node, q.family)) {
    case RESOLVER_LOCAL:
        return real()->getaddrinfo(node, service, hints, result);
    case RESOLVER_SYSTEM:
        return lookup_on_thread(&q, result);
    default:
        if (lookup_maps(&q) && resolver_for_name(node, AF_INET) == RESOLVER_LOCAL)
            return lookup_on_thread(&q, result); /* libc asks DNS before it maps an IPv4 address of hosts */
        return lookup_by_dns(&q, result);
    }
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    int err = lookup_run(node, service, hints, result);

    if (outbound_used && node && !err)
        outbound_learn(node, *result);
    return err;
}
