/* cares.h: what differs between c-ares 1.18 and 1.34. With cares.c the only place that asks for the version. */
#ifndef LIBC_CARES_H
#define LIBC_CARES_H

#include <ares.h>
#include <stddef.h>

#include "base/library.h"

/* clang-format off */
#if ARES_VERSION >= 0x011c00
#define CARES_QUERY(X) X(ares_query_dnsrec) X(ares_dns_write) X(ares_free_string)
#else
#define CARES_QUERY(X) X(ares_query)
#endif
#define CARES_CALLS(X)                                                                                          \
    CARES_QUERY(X) X(ares_cancel) X(ares_destroy) X(ares_init_options) X(ares_process_fd)                       \
    X(ares_set_servers_ports_csv) X(ares_timeout) X(ares_version)
/* clang-format on */
LIBRARY_DECLARE(cares, CARES_CALLS);

/* status: of c-ares. reply: the message (RFC 1035), valid during the call; NULL without one. */
typedef void (*cares_callback)(void *arg, int status, const unsigned char *reply, size_t size);

/* One question, with what becomes of the reply. Owned by the caller, in place until on_reply was called. */
struct cares_question {
    cares_callback on_reply;
    void *arg;
};

/* Ask for the records of a name, of class IN. type: ns_t_a and so on. on_reply may be called before this returns. */
void cares_ask(ares_channel channel, const char *name, int type, struct cares_question *question);

#endif
