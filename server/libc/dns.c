/*
 * dns.c: DNS queries by c-ares, driven by the coroutine that asks.
 *
 * Every query has a channel of its own: no state is shared, nobody else's wake-up is needed, and each is configured
 * from resolv.conf as it is now. The configuration is read by libc (res_ninit, which looks whether the file has
 * changed), so that search domains, options and environment variables mean the same as to libc. c-ares says which
 * sockets it waits for and how long; it is told all options, since what it is not told it would look up in files for
 * each channel.
 */
#include "libc/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#include "libc/park.h"
#include "log.h"

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

static int domain_count(const struct __res_state *conf)
{
    int count = 0;

    if (!(conf->options & (RES_DNSRCH | RES_DEFNAMES)))
        return 0;
    while (count < MAXDNSRCH && conf->dnsrch[count])
        count++;
    return count;
}

static int channel_make(ares_channel *channel, struct __res_state *conf)
{
    struct ares_options options = {
        .flags =
            (conf->options & RES_USEVC ? ARES_FLAG_USEVC : 0) | (conf->options & RES_USE_EDNS0 ? ARES_FLAG_EDNS : 0),
        .timeout = conf->retrans * 1000,
        .tries = conf->retry,
        .ndots = (int)conf->ndots,
        .domains = conf->dnsrch,
        .ndomains = domain_count(conf),
        .lookups = (char *)"b",
        .servers = &conf->nsaddr_list[0].sin_addr, /* replaced below */
        .nservers = 1,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_DOMAINS |
               ARES_OPT_LOOKUPS | ARES_OPT_SERVERS | ARES_OPT_SORTLIST;

    mask |= conf->options & RES_ROTATE ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE;
    return ares_init_options(channel, &options, mask);
}

static int channel_open(ares_channel *channel)
{
    struct __res_state conf = {0};
    int status;

    if (res_ninit(&conf) < 0)
        return ARES_ENOMEM;
    status = channel_make(channel, &conf);
    if (status == ARES_SUCCESS) {
        status = other_servers ? ares_set_servers_ports_csv(*channel, other_servers) : set_servers(*channel, &conf);
        if (status != ARES_SUCCESS)
            ares_destroy(*channel);
    }
    res_nclose(&conf);
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
    return wait_deadline(park_nanoseconds(&(struct timespec){left.tv_sec, left.tv_usec * 1000}));
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

/* A query of a channel of its own. */
struct query {
    ares_channel channel;
    struct dns_answer *answer;
    bool done;
    int status;
    const void *address; /* asked for by dns_find_name */
    int family;
};

/* Until the query's callback has been called: 0, or a negative errno. Signal handlers do not end it, as in libc. */
static int query_run(struct query *query)
{
    struct pollfd fds[ARES_GETSOCK_MAXNUM];
    int result;

    while (!query->done) {
        nfds_t count = channel_fds(query->channel, fds);

        result = wait_fds(fds, count, channel_deadline(query->channel));
        if (result < 0 && park_error(result) != EINTR)
            return result;
        channel_process(query->channel, fds, result > 0 ? count : 0);
    }
    return 0;
}

static int h_errno_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENOTFOUND:
        return HOST_NOT_FOUND;
    case ARES_ENODATA:
        return NO_DATA;
    case ARES_ENOMEM:
        errno = ENOMEM;
        return NETDB_INTERNAL;
    case ARES_EBADNAME:
    case ARES_EBADRESP:
    case ARES_EFORMERR:
        return NO_RECOVERY;
    default: /* servers that do not answer, refuse or fail */
        return TRY_AGAIN;
    }
}

/* Run the query that was just given to the channel, and free that. */
static int query_finish(struct query *query)
{
    int result = query_run(query);

    ares_destroy(query->channel); /* a query that has not ended ends now */
    if (park_ok(result))
        return h_errno_of(query->status);
    return NETDB_INTERNAL;
}

/* ---- addresses of a name ---- */

static void take_names(struct dns_answer *answer, const struct ares_addrinfo *found)
{
    answer->name = copy(answer, found->name);
    for (const struct ares_addrinfo_cname *cname = found->cnames; cname; cname = cname->next) {
        if (cname->alias)
            add_alias(answer, cname->alias);
        answer->name = copy(answer, cname->name);
    }
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct query *query = arg;

    query->done = true;
    query->status = status;
    if (status != ARES_SUCCESS)
        return;
    take_names(query->answer, found);
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)node->ai_addr;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)node->ai_addr;

        add_address(query->answer, node->ai_family,
                    node->ai_family == AF_INET ? (const void *)&in->sin_addr : (const void *)&in6->sin6_addr);
    }
    ares_freeaddrinfo(found);
}

int dns_find_addresses(const char *name, int family, bool sorted, struct dns_answer *answer)
{
    struct ares_addrinfo_hints hints = {.ai_family = family, .ai_flags = sorted ? 0 : ARES_AI_NOSORT};
    struct query query = {.answer = answer};
    int status = channel_open(&query.channel);

    if (status != ARES_SUCCESS)
        return h_errno_of(status);
    ares_getaddrinfo(query.channel, name, NULL, &hints, on_addresses, &query);
    return query_finish(&query);
}

/* ---- the name of an address ---- */

static void on_name(void *arg, int status, int timeouts, unsigned char *data, int size)
{
    struct query *query = arg;
    struct hostent *host;
    const char *first; /* c-ares lists all names as aliases, in order, and the last once more; libc takes the first */

    query->done = true;
    query->status = status;
    if (status == ARES_SUCCESS)
        query->status =
            ares_parse_ptr_reply(data, size, query->address, query->family == AF_INET ? 4 : 16, query->family, &host);
    if (query->status != ARES_SUCCESS)
        return;
    first = host->h_aliases[0] ? host->h_aliases[0] : host->h_name;
    query->answer->name = copy(query->answer, first);
    add_address(query->answer, query->family, query->address);
    ares_free_hostent(host);
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

int dns_find_name(const void *address, int family, struct dns_answer *answer)
{
    struct query query = {.answer = answer, .address = address, .family = family};
    int status = channel_open(&query.channel);
    char name[80];

    if (status != ARES_SUCCESS)
        return h_errno_of(status);
    reverse_name(address, family, name, sizeof(name));
    ares_query(query.channel, name, ns_c_in, ns_t_ptr, on_name, &query);
    return query_finish(&query);
}
