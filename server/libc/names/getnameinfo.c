/*
 * getnameinfo.c: getnameinfo with addresses whose names DNS knows.
 *
 * libc does everything that needs no network: numeric forms, services, and what hosts has. Only the name of an address
 * comes from here, and what is to be done if it has none, as RFC 3493 says.
 */
#include <errno.h>
#include <string.h>

#include "libc/names/dns.h"
#include "libc/runtime/park.h"
#include "base/real.h"

struct question {
    const struct sockaddr *from;
    socklen_t size;
    char *host, *service;
    socklen_t host_size, service_size;
    int flags;
};

static int ask_libc(const struct question *q, char *host, socklen_t host_size, int more_flags)
{
    return real()->getnameinfo(q->from, q->size, host, host_size, q->service, q->service_size, q->flags | more_flags);
}

/* ---- DNS ---- */

/* NI_NOFQDN: cut the name off at the domain of this machine. */
static void cut_domain(char *name)
{
    char own[NI_MAXHOST], *dot, *at;

    if (gethostname(own, sizeof(own)) < 0 || !(dot = strchr(own, '.')))
        return;
    at = strstr(name, dot);
    if (at && at != name)
        *at = '\0';
}

static int put_name(const struct question *q, char *name)
{
    if (q->flags & NI_NOFQDN)
        cut_domain(name);
    if (strlen(name) >= q->host_size)
        return EAI_OVERFLOW;
    strcpy(q->host, name);
    return q->service ? ask_libc(q, NULL, 0, 0) : 0;
}

static int name_of(const struct question *q, const void *address)
{
    struct dns_answer answer;
    int result;

    dns_answer_init(&answer);
    switch (dns_find_name(address, q->from->sa_family, &answer)) {
    case 0:
        result = put_name(q, answer.name);
        break;
    case NETDB_INTERNAL:
        result = EAI_SYSTEM;
        break;
    case TRY_AGAIN:
        result = EAI_AGAIN;
        break;
    default:
        result = q->flags & NI_NAMEREQD ? EAI_NONAME : ask_libc(q, q->host, q->host_size, NI_NUMERICHOST);
    }
    dns_answer_release(&answer);
    return result;
}

/* ---- libc's own, on a thread ---- */

struct call {
    const struct question *question;
    int err, saved_errno;
};

static int call_libc(void *arg)
{
    struct call *call = arg;

    call->err = ask_libc(call->question, call->question->host, call->question->host_size, 0);
    call->saved_errno = errno;
    return 0;
}

static int name_on_thread(const struct question *q)
{
    struct call call = {.question = q};

    wait_offload(call_libc, &call);
    if (call.err == EAI_SYSTEM)
        errno = call.saved_errno;
    return call.err;
}

/* ---- the call ---- */

/* The bytes of an Internet address, or NULL. */
static const void *bytes_of(const struct sockaddr *from, socklen_t size)
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
    const struct question q = {from, size, host, service, host_size, service_size, flags};
    const void *address = bytes_of(from, size);

    if (!coro_self() || !address || !host || host_size == 0 || flags & NI_NUMERICHOST || !park_possible())
        return ask_libc(&q, host, host_size, 0);
    if (flags & NI_IDN)
        return name_on_thread(&q);
    switch (resolver_for_address(address, from->sa_family)) {
    case RESOLVER_LIBC:
        return ask_libc(&q, host, host_size, 0);
    case RESOLVER_THREAD:
        return name_on_thread(&q);
    default:
        return name_of(&q, address);
    }
}
