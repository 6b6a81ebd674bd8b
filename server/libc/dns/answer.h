/* answer.h: what DNS has answered about a name or an address. */
#ifndef LIBC_ANSWER_H
#define LIBC_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

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
    struct arena arena; /* owns all that follows */
    const char *name;   /* the canonical one, or "" */
    struct dns_address *addresses, **last_address;
    struct dns_alias *aliases, **last_alias;
    size_t address_count, alias_count;
    bool useless;      /* a reply came, but no record of it counts */
    int err;           /* what libc's reentrant functions return if h_errno is NO_RECOVERY */
    bool unanswered;   /* the last query got no answer from any server */
    const void *reply; /* dns_find_records: the whole message (RFC 1035) */
    size_t reply_size;
};

void dns_answer_init(struct dns_answer *answer);
void dns_answer_release(struct dns_answer *answer);

/* The strings and bytes are copied. family is AF_INET or AF_INET6. */
void dns_answer_set_name(struct dns_answer *answer, const char *name);
void dns_answer_add_address(struct dns_answer *answer, int family, const void *bytes);
void dns_answer_add_alias(struct dns_answer *answer, const char *name);

/* Set the name, and forget the aliases that led to another. */
void dns_answer_restart_names(struct dns_answer *answer, const char *name);

#endif
