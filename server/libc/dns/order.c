/*
 * order.c: the order in which the addresses of a name are tried.
 *
 * These are the rules of RFC 3484 as libc implements them, which is RFC 6724 with other values in the policy table. The
 * kernel tells from which of our addresses each one would be reached: connecting a UDP socket sends nothing. IPv4
 * addresses are compared as the IPv6 addresses that stand for them. We leave out /etc/gai.conf, and the rules that need
 * to know more about our interfaces (deprecated, home and temporary addresses, tunnels).
 */
#include "libc/dns/order.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCOPE_LINK   2
#define SCOPE_SITE   5
#define SCOPE_GLOBAL 14

struct candidate {
    struct dns_address *address;
    size_t index; /* its position before */
    struct in6_addr to, from;
    bool reachable; /* from is known */
    int shared;     /* length of the common prefix of to and from, in bits */
};

static struct in6_addr as_in6(int family, const void *bytes)
{
    struct in6_addr in6 = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    if (family == AF_INET6)
        memcpy(&in6, bytes, 16);
    else
        memcpy(in6.s6_addr + 12, bytes, 4);
    return in6;
}

/* ---- the source address ---- */

static bool order_find_source(const struct dns_address *address, struct in6_addr *from)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(53)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    bool is_in = address->family == AF_INET, found = false;
    struct sockaddr *at = is_in ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
    socklen_t size = is_in ? sizeof(in) : sizeof(in6);
    int fd = socket(address->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    if (is_in)
        memcpy(&in.sin_addr, address->bytes, 4);
    else
        memcpy(&in6.sin6_addr, address->bytes, 16);
    if (connect(fd, at, size) == 0 && getsockname(fd, at, &size) == 0) {
        *from = is_in ? as_in6(AF_INET, &in.sin_addr) : in6.sin6_addr;
        found = true;
    }
    close(fd);
    return found;
}

/* ---- what the rules compare ---- */

static int scope_of(const struct in6_addr *a)
{
    const unsigned char *in = a->s6_addr + 12;

    if (IN6_IS_ADDR_V4MAPPED(a))
        return in[0] == 127 || (in[0] == 169 && in[1] == 254) ? SCOPE_LINK : SCOPE_GLOBAL;
    if (IN6_IS_ADDR_MULTICAST(a))
        return a->s6_addr[1] & 15;
    if (IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_LOOPBACK(a))
        return SCOPE_LINK;
    return IN6_IS_ADDR_SITELOCAL(a) ? SCOPE_SITE : SCOPE_GLOBAL;
}

struct policy {
    unsigned char prefix[16];
    int bits, precedence, label;
};

static const struct policy *policy_of(const struct in6_addr *a)
{
    static const struct policy table[] = {
        {{[15] = 1}, 128, 50, 0},  {{[10] = 0xff, [11] = 0xff}, 96, 10, 4},
        {{0}, 96, 20, 3},          {{0x20, 0x01}, 32, 40, 7},
        {{0x20, 0x02}, 16, 30, 2}, {{0xfe, 0xc0}, 10, 40, 5},
        {{0xfc}, 7, 40, 6},        {{0}, 0, 40, 1},
    };
    const struct policy *p = table;

    for (;; p++) {
        int whole = p->bits / 8, mask = 0xff00 >> p->bits % 8 & 0xff;

        if (!memcmp(a, p->prefix, (size_t)whole) && (!mask || !((a->s6_addr[whole] ^ p->prefix[whole]) & mask)))
            return p;
    }
}

/* Returns the length of the common prefix of two addresses, in bits. */
static int common_prefix(const struct in6_addr *a, const struct in6_addr *b)
{
    int i = 0;

    while (i < 16 && a->s6_addr[i] == b->s6_addr[i])
        i++;
    return i == 16 ? 128 : 8 * i + __builtin_clz((unsigned)(a->s6_addr[i] ^ b->s6_addr[i])) - 24;
}

/* Whether the network of one of our interfaces contains both addresses, which are IPv4. */
static bool is_on_our_network(const struct candidate *p, const struct ifaddrs *list)
{
    const struct sockaddr_in *at, *mask;
    uint32_t to, from;

    memcpy(&to, p->to.s6_addr + 12, 4);
    memcpy(&from, p->from.s6_addr + 12, 4);
    for (; list; list = list->ifa_next) {
        at = (const struct sockaddr_in *)list->ifa_addr;
        mask = (const struct sockaddr_in *)list->ifa_netmask;
        if (at && mask && at->sin_family == AF_INET && at->sin_addr.s_addr == from)
            return ((to ^ from) & mask->sin_addr.s_addr) == 0;
    }
    return false;
}

/* For IPv4 addresses of different networks a common prefix means nothing. */
static int shared_prefix(const struct candidate *p, const struct ifaddrs *list)
{
    if (!p->reachable || (p->address->family == AF_INET && !is_on_our_network(p, list)))
        return 0;
    return common_prefix(&p->to, &p->from);
}

/* ---- the rules, with their numbers ---- */

static int has_same_scope(const struct candidate *p)
{
    return scope_of(&p->to) == scope_of(&p->from);
}

static int has_same_label(const struct candidate *p)
{
    return policy_of(&p->to)->label == policy_of(&p->from)->label;
}

static int order_compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    bool both = a->reachable && b->reachable;
    int result = b->reachable - a->reachable; /* 1 */

    if (!result && both)
        result = has_same_scope(b) - has_same_scope(a); /* 2 */
    if (!result && both)
        result = has_same_label(b) - has_same_label(a); /* 5 */
    if (!result)
        result = policy_of(&b->to)->precedence - policy_of(&a->to)->precedence; /* 6 */
    if (!result)
        result = scope_of(&a->to) - scope_of(&b->to); /* 8 */
    if (!result && a->address->family == b->address->family)
        result = b->shared - a->shared;                                     /* 9 */
    return result ? result : (a->index > b->index) - (a->index < b->index); /* 10 */
}

void order_addresses(struct dns_answer *answer)
{
    struct ifaddrs *list = NULL;
    struct candidate *candidates;
    size_t count = 0;

    if (answer->address_count < 2)
        return;
    getifaddrs(&list); /* if it fails, no IPv4 address is on our network */
    candidates = arena_alloc(&answer->arena, answer->address_count * sizeof(*candidates));
    for (struct dns_address *address = answer->addresses; address; address = address->next, count++) {
        candidates[count] = (struct candidate){.address = address, .index = count};
        candidates[count].to = as_in6(address->family, address->bytes);
        candidates[count].reachable = order_find_source(address, &candidates[count].from);
        candidates[count].shared = shared_prefix(&candidates[count], list);
    }
    freeifaddrs(list);
    qsort(candidates, count, sizeof(*candidates), order_compare);
    answer->last_address = &answer->addresses;
    for (size_t i = 0; i < count; i++) {
        *answer->last_address = candidates[i].address;
        answer->last_address = &candidates[i].address->next;
    }
    *answer->last_address = NULL;
}
