/*
 * cares.c: what differs between c-ares 1.18 and 1.34.
 *
 * Until 1.28 ares_query handed over the message as it had come. Since then c-ares parses it, ares_query_dnsrec hands
 * over the result, and the compiler warns of ares_query. That one is now a call of ares_query_dnsrec and
 * ares_dns_write, which makes a message again; so we do the same, and all that follows works with messages. A message
 * in which anything is malformed is refused as a whole, where glibc takes what it understands.
 */
#include "libc/dns/cares.h"

#include <arpa/nameser.h>

LIBRARY_DEFINE(cares, CARES_CALLS);

#if ARES_VERSION >= 0x011c00

static void on_cares_record(void *arg, ares_status_t status, size_t timeouts, const ares_dns_record_t *record)
{
    struct cares_question *question = arg;
    unsigned char *reply = NULL;
    size_t size = 0;

    if (record) {
        ares_status_t written = cares.ares_dns_write(record, &reply, &size);

        if (written != ARES_SUCCESS) /* it has the name of something that is no host, which is not written */
            status = ARES_EBADRESP;
    }
    question->on_reply(question->arg, (int)status, reply, size);
    cares.ares_free_string(reply);
}

void cares_ask(ares_channel channel, const char *name, int type, struct cares_question *question)
{
    cares.ares_query_dnsrec(channel, name, ARES_CLASS_IN, (ares_dns_rec_type_t)type, on_cares_record, question, NULL);
}

#else

static void on_cares_message(void *arg, int status, int timeouts, unsigned char *reply, int size)
{
    struct cares_question *question = arg;

    question->on_reply(question->arg, status, reply, (size_t)size);
}

void cares_ask(ares_channel channel, const char *name, int type, struct cares_question *question)
{
    cares.ares_query(channel, name, ns_c_in, type, on_cares_message, question);
}

#endif
