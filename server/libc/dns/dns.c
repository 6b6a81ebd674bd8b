/*
 * dns.c: names and addresses by DNS, asked for by the coroutine itself.
 *
 * A query asks for the records of one name; for addresses of both families two questions are under way at once. Which
 * names are tried, one after the other, is decided by search.c, how the replies reach us by dns_channel.c, and what in
 * them counts by dns_reply.c. The outcome is what libc would make of the same replies, down to the error codes.
 */
#include "libc/dns/dns.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "libc/dns/cares.h"
#include "libc/dns/dns_channel.h"
#include "libc/dns/order.h"
#include "libc/dns/dns_reply.h"
#include "libc/dns/search.h"
#include "libc/runtime/park.h"
#include "wait/reason.h"

/* The records of one name, of one type or of two. */
struct query {
    struct dns_channel channel;
    struct dns_answer *answer;
    int family;  /* of the addresses that are asked for */
    int pending; /* replies */
};

struct question {
    struct query *query;
    int type; /* ns_t_a and so on */
    enum outcome outcome;
    struct cares_question asked;
};

/* ---- outcomes ---- */

static enum outcome outcome_of_status(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return OUTCOME_FOUND;
    case ARES_ENOTFOUND:
        return OUTCOME_NO_NAME;
    case ARES_ENODATA:
        return OUTCOME_NO_ADDRESS;
    case ARES_ENOMEM:
        errno = ENOMEM;
        return OUTCOME_BROKEN;
    case ARES_EBADRESP:
        return OUTCOME_CUT;
    case ARES_EBADNAME:
    case ARES_EFORMERR:
        return OUTCOME_MALFORMED;
    case ARES_ETIMEOUT:
        return OUTCOME_SILENT;
    default:
        return OUTCOME_FAILED;
    }
}

static int h_errno_of_outcome(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_FOUND:
        return 0;
    case OUTCOME_NO_NAME:
        return HOST_NOT_FOUND;
    case OUTCOME_NO_ADDRESS:
        return NO_DATA;
    case OUTCOME_ALIASES:
    case OUTCOME_CUT:
    case OUTCOME_BAD_NAME:
    case OUTCOME_MALFORMED:
        return NO_RECOVERY;
    case OUTCOME_BROKEN:
        return NETDB_INTERNAL;
    default:
        return TRY_AGAIN;
    }
}

static bool outcome_is_reply(enum outcome outcome)
{
    return outcome != OUTCOME_FAILED && outcome != OUTCOME_SILENT;
}

/* Returns what libc makes of two replies together. */
static enum outcome join_outcomes(enum outcome a, enum outcome aaaa)
{
    if (a == OUTCOME_FOUND || a == OUTCOME_CUT)
        return a;
    if (outcome_ends_search(a) || outcome_ends_search(aaaa))
        return a < aaaa ? a : aaaa;
    if (!outcome_is_reply(a) || !outcome_is_reply(aaaa))
        return outcome_is_reply(a) ? a : aaaa;
    return a == OUTCOME_NO_ADDRESS ? aaaa : a;
}

/* ---- replies ---- */

static void on_reply(void *arg, int status, const unsigned char *bytes, size_t size)
{
    struct question *question = arg;
    struct query *query = question->query;
    bool half = question->type != ns_t_ptr && query->family == AF_UNSPEC;
    struct reply reply = {bytes, size, question->type, half};

    query->pending--;
    question->outcome = outcome_of_status(status);
    if (status != ARES_SUCCESS)
        return;
    if (question->type == ns_t_ptr)
        question->outcome = reply_read_pointer(&reply, query->answer);
    else
        question->outcome = reply_read_addresses(&reply, query->answer);
}

/* The reply is wanted as it is. */
static void on_raw_reply(void *arg, int status, const unsigned char *reply, size_t size)
{
    struct question *question = arg;
    struct dns_answer *answer = question->query->answer;

    question->query->pending--;
    question->outcome = outcome_of_status(status);
    if (status != ARES_SUCCESS)
        return;
    answer->reply = memcpy(arena_alloc(&answer->arena, size), reply, size);
    answer->reply_size = size;
}

/* ---- asking ---- */

static void question_ask(struct question *question, const char *name, cares_callback on_done)
{
    question->query->pending++;
    question->asked = (struct cares_question){on_done, question};
    cares_ask(question->query->channel.ares, name, question->type, &question->asked);
}

/* Wait for the replies to what was asked. Returns false with errno if the wait has failed. */
static bool query_await(struct query *query)
{
    return park_ok(dns_channel_run(&query->channel, &query->pending));
}

static enum outcome ask_addresses(void *arg, const char *name)
{
    struct query *query = arg;
    struct question a = {.query = query, .type = ns_t_a, .outcome = OUTCOME_SILENT};
    struct question aaaa = {.query = query, .type = ns_t_aaaa, .outcome = OUTCOME_SILENT};

    query->answer->name = "";
    if (query->family != AF_INET6)
        question_ask(&a, name, on_reply);
    if (query->family != AF_INET)
        question_ask(&aaaa, name, on_reply);
    if (!query_await(query))
        return OUTCOME_BROKEN;
    if (query->family == AF_UNSPEC)
        return join_outcomes(a.outcome, aaaa.outcome);
    return query->family == AF_INET ? a.outcome : aaaa.outcome;
}

static enum outcome ask_records(void *arg, const char *name)
{
    struct question *question = arg;

    question_ask(question, name, on_raw_reply);
    return query_await(question->query) ? question->outcome : OUTCOME_BROKEN;
}

/* The channel has used errno, which says something only if the answer is NETDB_INTERNAL. */
static int answer_end(struct dns_answer *answer, enum outcome outcome, int saved)
{
    answer->useless = outcome == OUTCOME_ALIASES || outcome == OUTCOME_CUT;
    answer->err = outcome == OUTCOME_CUT ? EMSGSIZE : outcome == OUTCOME_BAD_NAME ? 0 : EAGAIN;
    if (outcome != OUTCOME_BROKEN)
        errno = saved;
    return h_errno_of_outcome(outcome);
}

/* Search with a channel that is open for this only. */
static enum outcome query_search(struct query *query, struct search *s, const char *name)
{
    struct __res_state conf = {0};
    enum outcome outcome;
    int status;

    if (res_ninit(&conf) < 0)
        return OUTCOME_BROKEN;
    status = dns_channel_open(&query->channel, &conf);
    outcome = outcome_of_status(status);
    if (status == ARES_SUCCESS) {
        outcome = search_run(s, &conf, name);
        dns_channel_close(&query->channel);
    }
    res_nclose(&conf);
    return outcome;
}

int dns_find_addresses(const char *name, int family, bool sorted, struct dns_answer *answer)
{
    struct query query = {.answer = answer, .family = family};
    struct search s = {.ask = ask_addresses, .arg = &query, .last = OUTCOME_SILENT};
    int saved = errno;
    bool told = reason_begin(FOR_DNS, -1, name);
    enum outcome outcome = query_search(&query, &s, name);

    reason_end(told);
    answer->unanswered = !outcome_is_reply(s.last);
    if (sorted)
        order_addresses(answer);
    return answer_end(answer, outcome, saved);
}

int dns_find_records(const char *name, int type, struct dns_answer *answer)
{
    struct query query = {.answer = answer};
    struct question question = {.query = &query, .type = type, .outcome = OUTCOME_SILENT};
    struct search s = {.ask = ask_records, .arg = &question, .last = OUTCOME_SILENT};
    bool told = reason_begin(FOR_DNS, -1, name);
    int saved = errno;
    enum outcome outcome = query_search(&query, &s, name);

    reason_end(told);
    return answer_end(answer, outcome, saved);
}

/* ---- names of addresses ---- */

/* Write the name that is asked for the host name of an address, in in-addr.arpa (RFC 1035) or ip6.arpa (RFC 3596). */
static void write_reverse_name(char *name, size_t size, const unsigned char *bytes, int family)
{
    char *end = name + size;

    if (family == AF_INET) {
        snprintf(name, size, "%u.%u.%u.%u.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
        return;
    }
    for (int i = 15; i >= 0; i--)
        name += snprintf(name, (size_t)(end - name), "%x.%x.", bytes[i] & 15, bytes[i] >> 4);
    snprintf(name, (size_t)(end - name), "ip6.arpa");
}

/* Whether an IPv6 address stands for an IPv4 one. */
static bool is_ipv4_in_ipv6(const void *address, int family)
{
    return family == AF_INET6 && (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address) ||
                                  IN6_IS_ADDR_V4COMPAT((const struct in6_addr *)address));
}

int dns_find_name(const void *address, int family, struct dns_answer *answer)
{
    struct query query = {.answer = answer};
    struct question question = {.query = &query, .type = ns_t_ptr, .outcome = OUTCOME_SILENT};
    struct __res_state conf = {0};
    int status, saved = errno;
    char name[80];
    bool told;

    if (is_ipv4_in_ipv6(address, family)) {
        address = (const unsigned char *)address + 12;
        family = AF_INET;
    }
    if (res_ninit(&conf) < 0)
        return NETDB_INTERNAL;
    status = dns_channel_open(&query.channel, &conf);
    res_nclose(&conf);
    if (status != ARES_SUCCESS)
        return answer_end(answer, outcome_of_status(status), saved);
    write_reverse_name(name, sizeof(name), address, family);
    question_ask(&question, name, on_reply);
    told = reason_begin(FOR_DNS, -1, name);
    if (!query_await(&query))
        question.outcome = OUTCOME_BROKEN;
    reason_end(told);
    dns_channel_close(&query.channel);
    dns_answer_add_address(answer, family, address);
    return answer_end(answer, question.outcome, saved);
}
