/*
 * getnameinfo.c: getnameinfo.
 *
 * libc does all that does not need the network: numeric forms, services, and addresses in hosts. Only names from DNS
 * are found here, and what RFC 3493 says for addresses that have none.
 */
#include <errno.h>
#include <string.h>

#include "base/real.h"
#include "libc/dns/dns.h"
#include "libc/names/resolver.h"
#include "libc/runtime/park.h"

struct reverse {
    const struct sockaddr *from;
    socklen_t size;
    char *host, *service;
    socklen_t host_size, service_size;
    int flags;
};

static int reverse_by_libc(const struct reverse *q, char *host, socklen_t host_size, int more_flags)
{
    return real()->getnameinfo(q->from, q->size, host, host_size, q->service, q->service_size, q->flags | more_flags);
}

/* ---- DNS ---- */

/* NI_NOFQDN: returns the length of a name without the domain of this machine. */
static size_t length_without_domain(const char *name)
{
    char own[NI_MAXHOST];
    const char *domain, *at;

    if (gethostname(own, sizeof(own)) < 0 || !(domain = strchr(own, '.')))
        return strlen(name);
    at = strstr(name, domain);
    return at && at != name ? (size_t)(at - name) : strlen(name);
}

static int reverse_set_name(const struct reverse *q, const char *name)
{
    size_t length = q->flags & NI_NOFQDN ? length_without_domain(name) : strlen(name);

    if (length >= q->host_size)
        return EAI_OVERFLOW;
    memcpy(q->host, name, length);
    q->host[length] = '\0';
    return q->service ? reverse_by_libc(q, NULL, 0, 0) : 0;
}

static int reverse_by_dns(const struct reverse *q, const void *address)
{
    struct dns_answer answer;
    int result, saved_errno = errno;

    dns_answer_init(&answer);
    switch (dns_find_name(address, q->from->sa_family, &answer)) {
    case 0:
        result = reverse_set_name(q, answer.name);
        break;
    case NETDB_INTERNAL:
        result = EAI_SYSTEM;
        break;
    case TRY_AGAIN:
        result = EAI_AGAIN;
        break;
    default:
        result = q->flags & NI_NAMEREQD ? EAI_NONAME : reverse_by_libc(q, q->host, q->host_size, NI_NUMERICHOST);
    }
    dns_answer_release(&answer);
    if (result == 0)
        errno = saved_errno; /* as libc leaves it, whatever c-ares's last recv found */
    return result;
}

/* ---- libc's own, on a thread ---- */

struct reverse_call {
    const struct reverse *reverse;
    int err, saved_errno;
};

static int reverse_call_libc(void *arg)
{
    struct reverse_call *call = arg;

    call->err = reverse_by_libc(call->reverse, call->reverse->host, call->reverse->host_size, 0);
    call->saved_errno = errno;
    return 0;
}

static int reverse_on_thread(const struct reverse *q)
{
    struct reverse_call call = {.reverse = q};

    wait_offload_for(FOR_DNS, NULL, reverse_call_libc, &call);
    if (call.err == EAI_SYSTEM)
        errno = call.saved_errno;
    return call.err;
}

/* ---- the call ---- */

/* Returns the bytes of an IPv4 or IPv6 address; NULL if it is another. */
static const void *sockaddr_bytes(const struct sockaddr *from, socklen_t size)
{
    if (size >= sizeof(struct sockaddr_in) && from->sa_family == AF_INET)
        return &((const struct sockaddr_in *)from)->sin_addr;
    if (size >= sizeof(struct sockaddr_in6) && from->sa_family == AF_INET6)
        return &((const struct sockaddr_in6 *)from)->sin6_addr;
    return NULL;
}

int getnameinfo(const struct sockaddr *from, socklen_t size, char *host, socklen_t host_size, char *service,
                socklen_t service_size, int flags)
{
    const struct reverse q = {from, size, host, service, host_size, service_size, flags};
    const void *address = sockaddr_bytes(from, size);

    if (!coro_self() || !address || !host || host_size == 0 || flags & NI_NUMERICHOST || !park_possible())
        return reverse_by_libc(&q, host, host_size, 0);
    if (flags & NI_IDN)
        return reverse_on_thread(&q);
    switch (resolver_for_address(address, from->sa_family)) {
    case RESOLVER_LOCAL:
        return reverse_by_libc(&q, host, host_size, 0);
    case RESOLVER_SYSTEM:
        return reverse_on_thread(&q);
    default:
        return reverse_by_dns(&q, address);
    }
}
