/*
 * fuzz_dns.c: what a name server says: the first byte is the type that was asked for, the rest is the message.
 *
 * Names that come out of a message can be those of hosts, but for the one that was asked for; addresses are no more
 * than the message has room for.
 */
#include <arpa/nameser.h>
#include <assert.h>
#include <resolv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libc/dns/dns_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const struct reply *reply, const char *name)
{
    char asked[NS_MAXDNAME];
    int taken =
        ns_name_uncompress(reply->bytes, reply->bytes + reply->size, reply->bytes + NS_HFIXEDSZ, asked, sizeof(asked));

    assert(!*name || res_hnok(name) || (taken >= 0 && !strcmp(name, asked)));
}

static void check_addresses(struct reply *reply)
{
    struct dns_answer answer;
    enum outcome outcome;

    dns_answer_init(&answer);
    outcome = reply_read_addresses(reply, &answer);
    if (outcome == OUTCOME_FOUND && reply->half) {
        reply->type = reply->type == ns_t_a ? ns_t_aaaa : ns_t_a;
        reply_read_addresses(reply, &answer);
    }
    assert(outcome == OUTCOME_FOUND || outcome == OUTCOME_ALIASES || outcome == OUTCOME_CUT);
    assert(outcome != OUTCOME_FOUND || answer.address_count > 0);
    assert(answer.address_count <= reply->size / (NS_RRFIXEDSZ + 4));
    check_name(reply, answer.name);
    for (const struct dns_alias *alias = answer.aliases; alias; alias = alias->next)
        check_name(reply, alias->name);
    dns_answer_release(&answer);
}

static void check_pointer(const struct reply *reply)
{
    struct dns_answer answer;
    enum outcome outcome;

    dns_answer_init(&answer);
    outcome = reply_read_pointer(reply, &answer);
    assert(outcome == OUTCOME_FOUND || outcome == OUTCOME_ALIASES || outcome == OUTCOME_CUT ||
           outcome == OUTCOME_BAD_NAME);
    assert(outcome == OUTCOME_FOUND ? res_hnok(answer.name) : !*answer.name);
    dns_answer_release(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reply reply = {.size = size - 1, .half = size > 0 && (data[0] & 4)};
    unsigned char *copy;

    if (size < 2)
        return -1;
    copy = malloc(size - 1); /* of exactly that size, so that the sanitizer notices reads behind its end */
    memcpy(copy, data + 1, size - 1);
    reply.bytes = copy;
    reply.type = data[0] & 1 ? ns_t_aaaa : ns_t_a;
    if (data[0] & 2)
        check_pointer(&reply);
    else
        check_addresses(&reply);
    free(copy);
    return 0;
}
