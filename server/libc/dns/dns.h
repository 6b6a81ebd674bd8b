/* dns.h: names and addresses by DNS, asked for by the coroutine itself. It parks until there is an answer. */
#ifndef LIBC_DNS_H
#define LIBC_DNS_H

#include "libc/dns/answer.h"

/* Find the addresses of a name, with the search domains of resolv.conf. family may be AF_UNSPEC. sorted: those first to
 * which a connection is most likely to succeed (RFC 6724); else in the order of the reply. Returns 0 or a value of
 * h_errno; NETDB_INTERNAL with errno. */
int dns_find_addresses(const char *name, int family, bool sorted, struct dns_answer *answer);

/* Find the records of any type (ns_t_mx, ...) of a name, with the search domains of resolv.conf: answer->reply. Returns
 * the same. */
int dns_find_records(const char *name, int type, struct dns_answer *answer);

/* Find the name of an address. That is then the only address of the answer, as IPv4 if it was an IPv4 address in the
 * form of an IPv6 one. Returns the same. */
int dns_find_name(const void *address, int family, struct dns_answer *answer);

#endif
