/* dns_channel.h: a channel of c-ares for the queries of one coroutine. */
#ifndef LIBC_DNS_CHANNEL_H
#define LIBC_DNS_CHANNEL_H

#include <ares.h>
#include <poll.h>
#include <resolv.h>

#define DNS_CHANNEL_FDS 16 /* two questions at a time, each by UDP or TCP to one of few servers */

/* Stays in place while it is open. */
struct dns_channel {
    ares_channel ares;
    struct pollfd fds[DNS_CHANNEL_FDS]; /* the sockets that it waits for */
    nfds_t fd_count;
};

/* Open a channel. conf: resolv.conf as libc has read it. Returns a status of c-ares. */
int dns_channel_open(struct dns_channel *channel, struct __res_state *conf);
void dns_channel_close(struct dns_channel *channel);

/* Park until *pending, which the callbacks of the queries count down, is 0. Returns 0, or a negative errno: then
 * nothing is pending any more. Signal handlers do not end it, as in libc. */
int dns_channel_run(struct dns_channel *channel, const int *pending);

/* For tests: other servers ("127.0.0.1:5353,[::1]:53") than those of resolv.conf; NULL: those. Borrowed. */
void dns_use_servers(const char *servers);

#endif
