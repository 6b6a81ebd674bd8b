/*
 * dns_channel.c: a channel of c-ares for the queries of one coroutine.
 *
 * Every coroutine that asks has a channel of its own: they share no state, and none has to wake another. Each channel
 * is configured from resolv.conf as it is now. c-ares does not read that file: libc does (res_ninit, which checks
 * whether it has changed), so that search domains, options and environment variables mean the same as to libc. c-ares
 * is given every option, since it would look for missing ones in files for each channel. It says which sockets it waits
 * for, and how long; the coroutine parks on these.
 */
#include "libc/names/dns_channel.h"

#include <errno.h>
#include <string.h>

#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

static const char *test_servers;

void dns_use_servers(const char *servers)
{
    test_servers = servers;
}

/* ---- opening ---- */

static struct ares_addr_port_node dns_server_node(const struct sockaddr *server)
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

/* libc keeps the IPv6 servers in a second list, and leaves an empty entry in the first for each. */
static int dns_channel_set_servers(ares_channel channel, const struct __res_state *conf)
{
    struct ares_addr_port_node nodes[MAXNS];
    int count = 0;

    for (int i = 0; i < conf->nscount && i < MAXNS; i++) {
        const struct sockaddr *server = (const struct sockaddr *)&conf->nsaddr_list[i];

        if (server->sa_family == 0)
            server = (const struct sockaddr *)conf->_u._ext.nsaddrs[i];
        if (!server)
            continue;
        nodes[count] = dns_server_node(server);
        if (count > 0)
            nodes[count - 1].next = &nodes[count];
        count++;
    }
    return count > 0 ? ares_set_servers_ports(channel, nodes) : ARES_ECONNREFUSED;
}

static int dns_channel_init(ares_channel *channel, struct __res_state *conf)
{
    struct ares_options options = {
        .flags =
            (conf->options & RES_USEVC ? ARES_FLAG_USEVC : 0) | (conf->options & RES_USE_EDNS0 ? ARES_FLAG_EDNS : 0),
        .timeout = conf->retrans * 1000,
        .tries = conf->retry,
        .lookups = (char *)"b",
        .servers = &conf->nsaddr_list[0].sin_addr, /* replaced by dns_channel_set_servers */
        .nservers = 1,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_DOMAINS |
               ARES_OPT_LOOKUPS | ARES_OPT_SERVERS | ARES_OPT_SORTLIST;

    mask |= conf->options & RES_ROTATE ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE;
    return ares_init_options(channel, &options, mask);
}

int dns_channel_open(ares_channel *channel, struct __res_state *conf)
{
    int status = dns_channel_init(channel, conf);

    if (status != ARES_SUCCESS)
        return status;
    status =
        test_servers ? ares_set_servers_ports_csv(*channel, test_servers) : dns_channel_set_servers(*channel, conf);
    if (status != ARES_SUCCESS)
        ares_destroy(*channel);
    return status;
}

/* ---- running ---- */

/* Returns the number of sockets that the channel waits for. */
static nfds_t dns_channel_list_fds(ares_channel channel, struct pollfd *fds)
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

static int64_t dns_channel_deadline(ares_channel channel)
{
    struct timespec length;
    struct timeval left;

    if (!ares_timeout(channel, NULL, &left))
        return WAIT_FOREVER;
    length = timespec_of_timeval(&left);
    return timespec_deadline_in(&length);
}

static void dns_channel_process(ares_channel channel, const struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        ares_socket_t in = fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD;
        ares_socket_t out = fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD;

        if (fds[i].revents)
            ares_process_fd(channel, in, out);
    }
    ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* queries that have timed out */
}

int dns_channel_run(ares_channel channel, const int *pending)
{
    struct pollfd fds[ARES_GETSOCK_MAXNUM];
    int result;

    while (*pending > 0) {
        nfds_t count = dns_channel_list_fds(channel, fds);

        result = wait_fds(fds, count, dns_channel_deadline(channel));
        if (result < 0 && park_error(result) != EINTR) {
            ares_cancel(channel);
            return result;
        }
        park_ignore(result);
        dns_channel_process(channel, fds, result > 0 ? count : 0);
    }
    return 0;
}
