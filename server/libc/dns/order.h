/* order.h: the order in which the addresses of a name are tried. */
#ifndef LIBC_ORDER_H
#define LIBC_ORDER_H

#include "libc/dns/answer.h"

/* Sort the addresses, first the one to which a connection is most likely to succeed. */
void order_addresses(struct dns_answer *answer);

#endif
