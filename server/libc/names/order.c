/*
 * order.c: in which order addresses are tried: RFC 3484 as libc applies it, RFC 6724 but for the values of the table.
 *
 * The kernel says by which of our addresses each one would be reached: a UDP socket that is connected sends nothing.
 * IPv4 addresses take part as the IPv6 ones that stand for them. Left out are the rules that need to know more of our
 * interfaces (deprecated, home and temporary addresses, tunnels), and /etc/gai.conf.
 */
#include "libc/names/order.h"

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

struct place {
    struct dns_address *address;
    size_t index; /* where it was */
    struct in6_addr to, from;
    bool reachable; /* and so from is known */
    int shared;     /* bits at the front of both that speak for the nearness of the two */
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

/* ---- whence ---- */

static bool find_source(const struct dns_address *address, struct in6_addr *from)
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

/* How many bits at the front two addresses share. */
static int common_bits(const struct in6_addr *a, const struct in6_addr *b)
{
    int i = 0;

    while (i < 16 && a->s6_addr[i] == b->s6_addr[i])
        i++;
    return i == 16 ? 128 : 8 * i + __builtin_clz((unsigned)(a->s6_addr[i] ^ b->s6_addr[i])) - 24;
}

/* Whether one of our interfaces is in a network with both addresses, which are of IPv4. */
static bool are_of_one_network(const struct place *p, const struct ifaddrs *list)
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

/* Between networks, what two IPv4 addresses share has no meaning. */
static int shared_bits(const struct place *p, const struct ifaddrs *list)
{
    if (!p->reachable || (p->address->family == AF_INET && !are_of_one_network(p, list)))
        return 0;
    return common_bits(&p->to, &p->from);
}

/* ---- the rules, by their numbers ---- */

static int agrees(const struct place *p)
{
    return scope_of(&p->to) == scope_of(&p->from);
}

static int is_of_one_kind(const struct place *p)
{
    return policy_of(&p->to)->label == policy_of(&p->from)->label;
}

static int compare(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    bool both = a->reachable && b->reachable;
    int result = b->reachable - a->reachable; /* 1 */

    if (!result && both)
        result = agrees(b) - agrees(a); /* 2 */
    if (!result && both)
        result = is_of_one_kind(b) - is_of_one_kind(a); /* 5 */
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
    struct place *places;
    size_t count = 0;

    if (answer->address_count < 2)
        return;
    getifaddrs(&list); /* without it, nothing is near */
    places = arena_alloc(&answer->arena, answer->address_count * sizeof(*places));
    for (struct dns_address *address = answer->addresses; address; address = address->next, count++) {
        places[count] = (struct place){.address = address, .index = count};
        places[count].to = as_in6(address->family, address->bytes);
        places[count].reachable = find_source(address, &places[count].from);
        places[count].shared = shared_bits(&places[count], list);
    }
    freeifaddrs(list);
    qsort(places, count, sizeof(*places), compare);
    answer->last_address = &answer->addresses;
    for (size_t i = 0; i < count; i++) {
        *answer->last_address = places[i].address;
        answer->last_address = &places[i].address->next;
    }
    *answer->last_address = NULL;
}
