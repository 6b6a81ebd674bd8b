/*
 * dns_channel.c: a channel of c-ares for the queries of one coroutine.
 *
 * Every coroutine that asks has a channel of its own: they share no state, and none has to wake another. Each channel
 * is configured from resolv.conf as it is now. c-ares does not read that file: libc does (res_ninit, which checks
 * whether it has changed), so that search domains, options and environment variables mean the same as to libc. c-ares
 * is given every option, since it would look for missing ones in files for each channel. It says which sockets it waits
 * for, by a callback whenever that changes, and how long; the coroutine parks on these.
 */
#include "libc/dns/dns_channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libc/dns/cares.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

#define MAX_SERVER_TEXT (INET6_ADDRSTRLEN + 9) /* with brackets, port and comma */

static const char *test_servers;

void dns_use_servers(const char *servers)
{
    test_servers = servers;
}

/* ---- opening ---- */

/* Write an address as c-ares reads it, and a comma: 192.0.2.1:53,[2001:db8::1]:53, Returns the number of bytes. */
static int dns_write_server(char *text, const struct sockaddr *server)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)server;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)server;
    char address[INET6_ADDRSTRLEN];

    if (server->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof(address));
        return snprintf(text, MAX_SERVER_TEXT, "[%s]:%u,", address, ntohs(in6->sin6_port));
    }
    inet_ntop(AF_INET, &in->sin_addr, address, sizeof(address));
    return snprintf(text, MAX_SERVER_TEXT, "%s:%u,", address, ntohs(in->sin_port));
}

/* libc keeps the IPv6 servers in a second list, and leaves an empty entry in the first for each. */
static int dns_channel_set_servers(struct dns_channel *channel, const struct __res_state *conf)
{
    char list[MAXNS * MAX_SERVER_TEXT];
    int size = 0;

    for (int i = 0; i < conf->nscount && i < MAXNS; i++) {
        const struct sockaddr *server = (const struct sockaddr *)&conf->nsaddr_list[i];

        if (server->sa_family == 0)
            server = (const struct sockaddr *)conf->_u._ext.nsaddrs[i];
        if (server)
            size += dns_write_server(list + size, server);
    }
    if (size == 0)
        return ARES_ECONNREFUSED;
    list[size - 1] = '\0'; /* in place of the last comma */
    return cares.ares_set_servers_ports_csv(channel->ares, list);
}

/* A callback of c-ares: what it waits for on a socket has changed; for nothing if it is about to close it. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *channel = data;
    short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    nfds_t i = 0;

    while (i < channel->fd_count && channel->fds[i].fd != fd)
        i++;
    if (i == DNS_CHANNEL_FDS)
        return; /* queries on it time out, and are sent to the next server */
    if (events)
        channel->fds[i] = (struct pollfd){.fd = fd, .events = events};
    if (events && i == channel->fd_count)
        channel->fd_count++;
    else if (!events && i < channel->fd_count)
        channel->fds[i] = channel->fds[--channel->fd_count];
}

static int dns_channel_init(struct dns_channel *channel, struct __res_state *conf)
{
    struct ares_options options = {
        .flags =
            (conf->options & RES_USEVC ? ARES_FLAG_USEVC : 0) | (conf->options & RES_USE_EDNS0 ? ARES_FLAG_EDNS : 0),
        .timeout = conf->retrans * 1000,
        .tries = conf->retry,
        .lookups = (char *)"b",
        .servers = &conf->nsaddr_list[0].sin_addr, /* replaced by dns_channel_set_servers */
        .nservers = 1,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_DOMAINS |
               ARES_OPT_LOOKUPS | ARES_OPT_SERVERS | ARES_OPT_SORTLIST | ARES_OPT_SOCK_STATE_CB;

    mask |= conf->options & RES_ROTATE ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE;
    return cares.ares_init_options(&channel->ares, &options, mask);
}

int dns_channel_open(struct dns_channel *channel, struct __res_state *conf)
{
    int status;

    channel->fd_count = 0;
    status = dns_channel_init(channel, conf);
    if (status != ARES_SUCCESS)
        return status;
    status = test_servers ? cares.ares_set_servers_ports_csv(channel->ares, test_servers)
                          : dns_channel_set_servers(channel, conf);
    if (status != ARES_SUCCESS)
        cares.ares_destroy(channel->ares);
    return status;
}

void dns_channel_close(struct dns_channel *channel)
{
    cares.ares_destroy(channel->ares);
}

/* ---- running ---- */

static int64_t dns_channel_deadline(const struct dns_channel *channel)
{
    struct timespec length;
    struct timeval left;

    if (!cares.ares_timeout(channel->ares, NULL, &left))
        return WAIT_FOREVER;
    length = timespec_of_timeval(&left);
    return timespec_deadline_in(&length);
}

static void dns_channel_process(struct dns_channel *channel, const struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        ares_socket_t in = fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD;
        ares_socket_t out = fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD;

        if (fds[i].revents)
            cares.ares_process_fd(channel->ares, in, out);
    }
    cares.ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* queries that have timed out */
}

int dns_channel_run(struct dns_channel *channel, const int *pending)
{
    struct pollfd fds[DNS_CHANNEL_FDS]; /* a copy, since c-ares changes the list while it is worked through */
    int result;

    while (*pending > 0) {
        nfds_t count = channel->fd_count;

        memcpy(fds, channel->fds, count * sizeof(*fds));
        result = wait_fds(fds, count, dns_channel_deadline(channel));
        if (result < 0 && park_error(result) != EINTR) {
            cares.ares_cancel(channel->ares);
            return result;
        }
        park_ignore(result);
        dns_channel_process(channel, fds, result > 0 ? count : 0);
    }
    return 0;
}
