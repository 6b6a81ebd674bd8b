/* order.h: in which order addresses are tried. */
#ifndef LIBC_ORDER_H
#define LIBC_ORDER_H

#include "libc/names/dns.h"

/* Put those first with which a connection is most likely to succeed. */
void order_addresses(struct dns_answer *answer);

#endif
