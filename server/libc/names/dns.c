/*
 * dns.c: DNS queries by c-ares, driven by the coroutine that asks.
 *
 * Every query has a channel of its own: no state is shared, nobody else's wake-up is needed, and each is configured
 * from resolv.conf as it is now. The configuration is read by libc (res_ninit, which looks whether the file has
 * changed), so that search domains, options and environment variables mean the same as to libc. c-ares says which
 * sockets it waits for and how long; it is told all options, since what it is not told it would look up in files for
 * each channel. Which names are asked for, one after the other, is the subject of search.c.
 */
#include "libc/names/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#include "libc/names/order.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"
#include "libc/names/search.h"
#include "log/log.h"

static const char *other_servers; /* in tests */

void dns_use_servers(const char *servers)
{
    other_servers = servers;
}

/* ---- answers ---- */

static char *copy(struct dns_answer *answer, const char *name)
{
    return arena_strndup(&answer->arena, name, strlen(name));
}

void dns_answer_init(struct dns_answer *answer)
{
    *answer = (struct dns_answer){0};
    arena_init(&answer->arena);
    answer->name = copy(answer, "");
    answer->last_address = &answer->addresses;
    answer->last_alias = &answer->aliases;
}

void dns_answer_release(struct dns_answer *answer)
{
    arena_release(&answer->arena);
}

static void add_address(struct dns_answer *answer, int family, const void *bytes)
{
    struct dns_address *address = arena_alloc(&answer->arena, sizeof(*address));

    address->next = NULL;
    address->family = family;
    memcpy(address->bytes, bytes, family == AF_INET ? 4 : 16);
    *answer->last_address = address;
    answer->last_address = &address->next;
    answer->address_count++;
}

static void add_alias(struct dns_answer *answer, const char *name)
{
    struct dns_alias *alias = arena_alloc(&answer->arena, sizeof(*alias));

    *alias = (struct dns_alias){.name = copy(answer, name)};
    *answer->last_alias = alias;
    answer->last_alias = &alias->next;
    answer->alias_count++;
}

/* ---- channels ---- */

static struct ares_addr_port_node server_node(const struct sockaddr *server)
{
    struct ares_addr_port_node node = {.family = server->sa_family};

    if (server->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)server;

        memcpy(&node.addr.addr6, &in6->sin6_addr, sizeof(node.addr.addr6));
        node.udp_port = node.tcp_port = ntohs(in6->sin6_port);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)server;

        node.addr.addr4 = in->sin_addr;
        node.udp_port = node.tcp_port = ntohs(in->sin_port);
    }
    return node;
}

/* libc keeps the IPv6 servers in a second list, and leaves a hole for each in the first. */
static int set_servers(ares_channel channel, const struct __res_state *conf)
{
    struct ares_addr_port_node nodes[MAXNS];
    int count = 0;

    for (int i = 0; i < conf->nscount && i < MAXNS; i++) {
        const struct sockaddr *server = (const struct sockaddr *)&conf->nsaddr_list[i];

        if (server->sa_family == 0)
            server = (const struct sockaddr *)conf->_u._ext.nsaddrs[i];
        if (!server)
            continue;
        nodes[count] = server_node(server);
        if (count > 0)
            nodes[count - 1].next = &nodes[count];
        count++;
    }
    return count > 0 ? ares_set_servers_ports(channel, nodes) : ARES_ECONNREFUSED;
}

static int channel_make(ares_channel *channel, struct __res_state *conf)
{
    struct ares_options options = {
        .flags =
            (conf->options & RES_USEVC ? ARES_FLAG_USEVC : 0) | (conf->options & RES_USE_EDNS0 ? ARES_FLAG_EDNS : 0),
        .timeout = conf->retrans * 1000,
        .tries = conf->retry,
        .lookups = (char *)"b",
        .servers = &conf->nsaddr_list[0].sin_addr, /* replaced below */
        .nservers = 1,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_DOMAINS |
               ARES_OPT_LOOKUPS | ARES_OPT_SERVERS | ARES_OPT_SORTLIST;

    mask |= conf->options & RES_ROTATE ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE;
    return ares_init_options(channel, &options, mask);
}

static int channel_open(ares_channel *channel, struct __res_state *conf)
{
    int status = channel_make(channel, conf);

    if (status != ARES_SUCCESS)
        return status;
    status = other_servers ? ares_set_servers_ports_csv(*channel, other_servers) : set_servers(*channel, conf);
    if (status != ARES_SUCCESS)
        ares_destroy(*channel);
    return status;
}

/* ---- driving a channel ---- */

static nfds_t channel_fds(ares_channel channel, struct pollfd *fds)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    unsigned bits = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM); /* to read; above these, to write */
    nfds_t count = 0;

    for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        short events = (bits >> i & 1 ? POLLIN : 0) | (bits >> (i + ARES_GETSOCK_MAXNUM) & 1 ? POLLOUT : 0);

        if (events)
            fds[count++] = (struct pollfd){.fd = sockets[i], .events = events};
    }
    return count;
}

static int64_t channel_deadline(ares_channel channel)
{
    struct timeval left;

    if (!ares_timeout(channel, NULL, &left))
        return WAIT_FOREVER;
    return wait_deadline(timespec_ns(&(struct timespec){left.tv_sec, left.tv_usec * 1000}));
}

static void channel_process(ares_channel channel, const struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        ares_socket_t in = fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD;
        ares_socket_t out = fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD;

        if (fds[i].revents)
            ares_process_fd(channel, in, out);
    }
    ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what has timed out */
}

/* ---- questions ---- */

/* A question for the records of a name, of one type or of two. */
struct query {
    ares_channel channel;
    struct dns_answer *answer;
    int family;  /* of addresses that are asked for */
    int pending; /* replies */
};

struct question {
    struct query *query;
    int type;
    enum outcome outcome;
};

/* Until all replies are there: 0, or a negative errno. Signal handlers do not end it, as in libc. */
static int query_run(struct query *query)
{
    struct pollfd fds[ARES_GETSOCK_MAXNUM];
    int result;

    while (query->pending > 0) {
        nfds_t count = channel_fds(query->channel, fds);

        result = wait_fds(fds, count, channel_deadline(query->channel));
        if (result < 0 && park_error(result) != EINTR)
            return result;
        channel_process(query->channel, fds, result > 0 ? count : 0);
    }
    return 0;
}

static enum outcome outcome_of(int status)
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
    case ARES_EBADNAME:
    case ARES_EBADRESP:
    case ARES_EFORMERR:
        return OUTCOME_MALFORMED;
    case ARES_ETIMEOUT:
        return OUTCOME_SILENT;
    default:
        return OUTCOME_FAILED;
    }
}

static int h_errno_of(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_FOUND:
        return 0;
    case OUTCOME_NO_NAME:
        return HOST_NOT_FOUND;
    case OUTCOME_NO_ADDRESS:
        return NO_DATA;
    case OUTCOME_ALIASES:
    case OUTCOME_MALFORMED:
        return NO_RECOVERY;
    case OUTCOME_BROKEN:
        return NETDB_INTERNAL;
    default:
        return TRY_AGAIN;
    }
}

/* ---- replies ---- */

/* An alias leads on to another name. */
static void take_alias(struct dns_answer *answer, const ns_msg *message, const ns_rr *record)
{
    char name[NS_MAXDNAME];

    if (ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), ns_rr_rdata(*record), name, sizeof(name)) < 0)
        return;
    add_alias(answer, ns_rr_name(*record));
    answer->name = copy(answer, name);
}

/* False if it is malformed, and of no use. */
static bool take_address(struct dns_answer *answer, const ns_rr *record)
{
    int family = ns_rr_type(*record) == ns_t_a ? AF_INET : AF_INET6;

    if (ns_rr_rdlen(*record) != (family == AF_INET ? 4 : 16))
        return false;
    if (!*answer->name)
        answer->name = copy(answer, ns_rr_name(*record));
    add_address(answer, family, ns_rr_rdata(*record));
    return true;
}

/* Of several names of an address, libc takes the first. */
static bool take_name(struct dns_answer *answer, const ns_msg *message, const ns_rr *record)
{
    char name[NS_MAXDNAME];

    if (ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), ns_rr_rdata(*record), name, sizeof(name)) < 0)
        return false;
    if (!*answer->name)
        answer->name = copy(answer, name);
    return true;
}

/* has_names: the other reply has brought the names, this one only adds addresses. */
static void take_record(struct question *question, const ns_msg *message, const ns_rr *record, bool has_names)
{
    struct dns_answer *answer = question->query->answer;
    int type = ns_rr_type(*record);

    if (type == ns_t_cname && question->type != ns_t_ptr && !has_names)
        take_alias(answer, message, record);
    if (type == question->type &&
        (type == ns_t_ptr ? take_name(answer, message, record) : take_address(answer, record)))
        question->outcome = OUTCOME_FOUND;
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *data, int size)
{
    struct question *question = arg;
    bool has_names = question->query->answer->address_count > 0;
    ns_msg message;
    ns_rr record;

    question->query->pending--;
    question->outcome = outcome_of(status);
    if (status != ARES_SUCCESS)
        return;
    question->outcome = OUTCOME_ALIASES;
    if (ns_initparse(data, size, &message) < 0)
        question->outcome = OUTCOME_MALFORMED;
    for (int i = 0; question->outcome != OUTCOME_MALFORMED && i < ns_msg_count(message, ns_s_an); i++) {
        if (ns_parserr(&message, ns_s_an, i, &record) < 0)
            question->outcome = OUTCOME_MALFORMED;
        else
            take_record(question, &message, &record, has_names);
    }
}

/* ---- asking ---- */

static void question_ask(struct question *question, const char *name)
{
    question->query->pending++;
    ares_query(question->query->channel, name, ns_c_in, question->type, on_reply, question);
}

/* Wait for the replies to what was asked. False, and errno set, if the wait was ended: then nothing is under way. */
static bool query_finish(struct query *query)
{
    int result = query_run(query);

    if (result < 0)
        ares_cancel(query->channel);
    return park_ok(result);
}

static bool is_reply(enum outcome outcome)
{
    return outcome != OUTCOME_FAILED && outcome != OUTCOME_SILENT;
}

/* What two replies come to, of A and AAAA, as libc sees it. */
static enum outcome join_outcomes(enum outcome a, enum outcome aaaa)
{
    if (outcome_ends_search(a) || outcome_ends_search(aaaa))
        return a < aaaa ? a : aaaa;
    if (!is_reply(a) || !is_reply(aaaa))
        return is_reply(a) ? a : aaaa;
    return a == OUTCOME_NO_ADDRESS ? aaaa : a;
}

static enum outcome ask_addresses(void *arg, const char *name)
{
    struct query *query = arg;
    struct question a = {query, ns_t_a, OUTCOME_SILENT}, aaaa = {query, ns_t_aaaa, OUTCOME_SILENT};

    query->answer->name = copy(query->answer, "");
    if (query->family != AF_INET6)
        question_ask(&a, name);
    if (query->family != AF_INET)
        question_ask(&aaaa, name);
    if (!query_finish(query))
        return OUTCOME_BROKEN;
    if (query->family == AF_UNSPEC)
        return join_outcomes(a.outcome, aaaa.outcome);
    return query->family == AF_INET ? a.outcome : aaaa.outcome;
}

/* Search with a channel that is there for this. */
static enum outcome search_run(struct query *query, struct search *s, const char *name)
{
    struct __res_state conf = {0};
    enum outcome outcome;
    int status;

    if (res_ninit(&conf) < 0)
        return OUTCOME_BROKEN;
    status = channel_open(&query->channel, &conf);
    outcome = outcome_of(status);
    if (status == ARES_SUCCESS) {
        outcome = search(s, &conf, name);
        ares_destroy(query->channel);
    }
    res_nclose(&conf);
    return outcome;
}

int dns_find_addresses(const char *name, int family, bool sorted, struct dns_answer *answer)
{
    struct query query = {.answer = answer, .family = family};
    struct search s = {.ask = ask_addresses, .arg = &query, .last = OUTCOME_SILENT};
    enum outcome outcome = search_run(&query, &s, name);

    answer->only_aliases = outcome == OUTCOME_ALIASES;
    answer->unanswered = !is_reply(s.last);
    if (sorted)
        order_addresses(answer);
    return h_errno_of(outcome);
}

/* A question whose reply is wanted as it came. */
static void on_records(void *arg, int status, int timeouts, unsigned char *data, int size)
{
    struct question *question = arg;
    struct dns_answer *answer = question->query->answer;

    question->query->pending--;
    question->outcome = outcome_of(status);
    if (status != ARES_SUCCESS)
        return;
    answer->reply = memcpy(arena_alloc(&answer->arena, (size_t)size), data, (size_t)size);
    answer->reply_size = (size_t)size;
}

static enum outcome ask_records(void *arg, const char *name)
{
    struct question *question = arg;

    question->query->pending++;
    ares_query(question->query->channel, name, ns_c_in, question->type, on_records, question);
    return query_finish(question->query) ? question->outcome : OUTCOME_BROKEN;
}

int dns_find_records(const char *name, int type, struct dns_answer *answer)
{
    struct query query = {.answer = answer};
    struct question question = {&query, type, OUTCOME_SILENT};
    struct search s = {.ask = ask_records, .arg = &question, .last = OUTCOME_SILENT};

    return h_errno_of(search_run(&query, &s, name));
}

/* The name under which DNS keeps the name of an address. */
static void reverse_name(const unsigned char *bytes, int family, char *name, size_t size)
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

/* An IPv4 address in the form of one of IPv6. */
static bool is_in_disguise(const void *address, int family)
{
    return family == AF_INET6 && (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address) ||
                                  IN6_IS_ADDR_V4COMPAT((const struct in6_addr *)address));
}

int dns_find_name(const void *address, int family, struct dns_answer *answer)
{
    struct query query = {.answer = answer};
    struct question question = {&query, ns_t_ptr, OUTCOME_SILENT};
    struct __res_state conf = {0};
    char name[80];
    int status;

    if (is_in_disguise(address, family)) {
        address = (const unsigned char *)address + 12;
        family = AF_INET;
    }
    if (res_ninit(&conf) < 0)
        return NETDB_INTERNAL;
    status = channel_open(&query.channel, &conf);
    res_nclose(&conf);
    if (status != ARES_SUCCESS)
        return h_errno_of(outcome_of(status));
    reverse_name(address, family, name, sizeof(name));
    question_ask(&question, name);
    if (!query_finish(&query))
        question.outcome = OUTCOME_BROKEN;
    ares_destroy(query.channel);
    add_address(answer, family, address);
    return h_errno_of(question.outcome);
}
