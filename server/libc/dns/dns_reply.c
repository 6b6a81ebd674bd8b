/*
 * dns_reply.c: what a message from a name server says about the name that was asked for.
 *
 * A server may say anything, and applications write host names to pages, logs and shells. So this trusts a message as
 * far as libc does (glibc 2.37, resolv/nss_dns/dns-host.c). Records count only if they belong to the name that was
 * asked for or, after an alias (CNAME), to its target. Names are given to applications only if they look like those of
 * hosts (res_hnok): another alias is followed, but not named, and an address with such a name has none. Of the message
 * only the section with answers is read; what follows may be garbage. Names are compared as text, in which every byte
 * that is not printable is escaped.
 */
#include "libc/dns/dns_reply.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

struct reader {
    const unsigned char *begin, *at, *end;
    int left;                /* records */
    bool any_class;          /* libc does not look at the class of records for two families */
    char owner[NS_MAXDNAME]; /* whose records count */
};

struct record {
    char owner[NS_MAXDNAME];
    int type, class;
    const unsigned char *data;
    size_t size;
};

/* ---- reading ---- */

/* Write the name at a place of the message. Returns the bytes that it takes there; -1 if it is malformed. */
static int reader_name(const struct reader *r, const unsigned char *at, char name[NS_MAXDNAME])
{
    return ns_name_uncompress(r->begin, r->end, at, name, NS_MAXDNAME);
}

/* Begin with the question, whose name is the first owner. Returns false if it is malformed. */
static bool reader_open(struct reader *r, const struct reply *reply)
{
    int size;

    *r = (struct reader){.begin = reply->bytes, .end = reply->bytes + reply->size, .any_class = reply->half};
    if (reply->size < NS_HFIXEDSZ || ns_get16(reply->bytes + 4) != 1)
        return false;
    r->at = reply->bytes + NS_HFIXEDSZ;
    r->left = (int)ns_get16(reply->bytes + 6);
    size = reader_name(r, r->at, r->owner);
    if (size < 0 || r->end - r->at < size + NS_QFIXEDSZ)
        return false;
    r->at += size + NS_QFIXEDSZ;
    return true;
}

/* Cut the next record out of the message. Returns false if it is malformed. */
static bool reader_cut(struct reader *r, struct record *record)
{
    int size = reader_name(r, r->at, record->owner);

    r->left--;
    if (size < 0 || r->end - r->at < size + NS_RRFIXEDSZ)
        return false;
    r->at += size;
    record->type = (int)ns_get16(r->at);
    record->class = (int)ns_get16(r->at + 2);
    record->size = ns_get16(r->at + 8);
    record->data = r->at + NS_RRFIXEDSZ;
    if ((size_t)(r->end - record->data) < record->size)
        return false;
    r->at = record->data + record->size;
    return true;
}

/* Read the next record. Of an alias, whosever it is, records of the target count from here on. Returns false if it is
 * malformed. */
static bool reader_next(struct reader *r, struct record *record)
{
    if (!reader_cut(r, record))
        return false;
    if (record->class != ns_c_in && !r->any_class)
        record->type = ns_t_invalid;
    return record->type != ns_t_cname || reader_name(r, record->data, r->owner) >= 0;
}

static bool record_counts(const struct record *record, const struct reader *r, int type)
{
    return record->type == type && !strcasecmp(record->owner, r->owner);
}

/* ---- addresses ---- */

/* The next alias becomes the canonical name, if it can be the name of a host. */
static void answer_follow(struct dns_answer *answer, const char *name)
{
    if (!res_hnok(name))
        return;
    dns_answer_add_alias(answer, answer->name);
    dns_answer_set_name(answer, name);
}

enum outcome reply_read_addresses(const struct reply *reply, struct dns_answer *answer)
{
    int family = reply->type == ns_t_a ? AF_INET : AF_INET6;
    size_t size = family == AF_INET ? 4 : 16, before = answer->address_count;
    struct record record;
    struct reader r;

    if (!reader_open(&r, reply))
        return OUTCOME_CUT;
    if (before == 0)
        dns_answer_restart_names(answer, r.owner);
    while (r.left > 0) {
        if (!reader_next(&r, &record))
            return OUTCOME_CUT;
        if (record.type == ns_t_cname && !(reply->half && answer->address_count > 0))
            answer_follow(answer, r.owner);
        if (record_counts(&record, &r, reply->type) && record.size == size)
            dns_answer_add_address(answer, family, record.data);
    }
    return answer->address_count > before ? OUTCOME_FOUND : OUTCOME_ALIASES;
}

/* ---- names ---- */

enum outcome reply_read_pointer(const struct reply *reply, struct dns_answer *answer)
{
    char name[NS_MAXDNAME];
    struct record record;
    struct reader r;

    if (!reader_open(&r, reply))
        return OUTCOME_CUT;
    while (r.left > 0) {
        if (!reader_next(&r, &record))
            return OUTCOME_CUT;
        if (!record_counts(&record, &r, ns_t_ptr))
            continue;
        if (reader_name(&r, record.data, name) < 0)
            return OUTCOME_CUT;
        if (!res_hnok(name))
            return OUTCOME_BAD_NAME;
        dns_answer_set_name(answer, name);
        return OUTCOME_FOUND;
    }
    return OUTCOME_ALIASES;
}
