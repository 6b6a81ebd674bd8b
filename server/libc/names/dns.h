/* dns.h: names and addresses by DNS, asked for by the coroutine itself. */
#ifndef LIBC_DNS_H
#define LIBC_DNS_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "libc/libc.h"

struct dns_address {
    struct dns_address *next;
    int family; /* AF_INET or AF_INET6 */
    unsigned char bytes[16];
};

struct dns_alias {
    struct dns_alias *next;
    const char *name;
};

struct dns_answer {
    struct arena arena; /* holds all the rest */
    char *name;         /* the canonical one */
    struct dns_address *addresses, **last_address;
    struct dns_alias *aliases, **last_alias;
    size_t address_count, alias_count;
    bool only_aliases; /* the name is an alias of something that has no such address */
    bool unanswered;   /* to the last question no server had an answer */
    const void *reply; /* dns_find_records: the whole message (RFC 1035) */
    size_t reply_size;
};

/* Before a query, and after it whatever came of it. */
void dns_answer_init(struct dns_answer *answer);
void dns_answer_release(struct dns_answer *answer);

/* Addresses of a name, with the search domains of resolv.conf. family may be AF_UNSPEC. sorted: as connect is most
 * likely to succeed (RFC 6724); else as the server gave them. 0, or a value of h_errno; errno with NETDB_INTERNAL. */
int dns_find_addresses(const char *name, int family, bool sorted, struct dns_answer *answer);

/* Records of any type (ns_t_mx, ...) of a name, with the search domains of resolv.conf, as answer->reply. Returns as
 * above. */
int dns_find_records(const char *name, int type, struct dns_answer *answer);

/* The name of an address, which is the one address of the answer, as IPv4 if it only looks like IPv6. */
int dns_find_name(const void *address, int family, struct dns_answer *answer);

/* ---- who resolves: resolver.c ---- */

void resolver_init(enum libc_resolver resolver);

/* How a call on this coroutine shall be answered. */
enum resolver_way {
    RESOLVER_LIBC,   /* by libc at once: it need not wait */
    RESOLVER_THREAD, /* by libc, on a thread of the pool */
    RESOLVER_DNS,    /* by the functions above */
};
enum resolver_way resolver_for_name(const char *name, int family);
enum resolver_way resolver_for_address(const void *address, int family);

/* ---- for tests ---- */

/* Other servers ("127.0.0.1:5353,[::1]:53") and another hosts file than the system's; NULL: the system's. */
void dns_use_servers(const char *servers);
void resolver_use_hosts(const char *path);

#endif
