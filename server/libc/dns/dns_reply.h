/* dns_reply.h: what a message from a name server says about the name that was asked for. */
#ifndef LIBC_DNS_REPLY_H
#define LIBC_DNS_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "libc/dns/answer.h"
#include "libc/dns/search.h"

/* A message (RFC 1035). Borrowed. */
struct reply {
    const unsigned char *bytes;
    size_t size;
    int type;  /* that was asked for: ns_t_a and so on */
    bool half; /* a reply for the other family belongs to the same answer */
};

/* Add the addresses, the canonical name and its aliases. */
enum outcome reply_read_addresses(const struct reply *reply, struct dns_answer *answer);

/* Set the name to the target of the first PTR record. */
enum outcome reply_read_pointer(const struct reply *reply, struct dns_answer *answer);

#endif
