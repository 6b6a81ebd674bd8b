/*
 * reason.c: what a coroutine waits for, by kind and by peer.
 *
 * A wait for a descriptor is told with its number only. Whose it is the kernel knows: it is asked when somebody wants
 * to see the wait, and with coro_clock at each wait, since the descriptor may be closed when that is over. That is one
 * system call for a wait that takes three.
 */
#include "wait/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"

static const char *const kind_names[WAIT_KINDS] = {
    [FOR_OTHER] = "other",   [FOR_SOCKET] = "socket", [FOR_PIPE] = "pipe",   [FOR_DNS] = "dns",
    [FOR_SLEEP] = "sleep",   [FOR_LOCK] = "lock",     [FOR_DISK] = "disk",   [FOR_CHILD] = "child",
    [FOR_THREAD] = "thread", [FOR_CLIENT] = "client", [FOR_PLACE] = "place",
};

const char *reason_kind_name(enum wait_kind kind)
{
    return kind_names[kind];
}

enum wait_kind reason_kind_by_name(const char *name, size_t size)
{
    enum wait_kind kind = 0;

    while (kind < WAIT_KINDS && (strlen(kind_names[kind]) != size || memcmp(kind_names[kind], name, size)))
        kind++;
    return kind;
}

/* ---- whom it waits for ---- */

static socklen_t address_size(const struct sockaddr *address)
{
    switch (address->sa_family) {
    case AF_INET:
        return sizeof(struct sockaddr_in);
    case AF_INET6:
        return sizeof(struct sockaddr_in6);
    default:
        return sizeof(struct sockaddr_un);
    }
}

static void peer_set_name(struct reason_peer *peer, const char *name)
{
    peer->is_name = true;
    peer->size = sizeof(peer->address.un);
    snprintf(peer->address.un.sun_path, sizeof(peer->address.un.sun_path), "%s", name);
}

/* A socket that is being connected has no peer yet: the address is the subject then. */
static void peer_set_socket(struct reason_peer *peer, const struct coro_reason *reason)
{
    const struct sockaddr *to = reason->subject;
    socklen_t size = sizeof(peer->address);
    int saved = errno;

    if (to) {
        peer->size = address_size(to);
        memcpy(&peer->address, to, peer->size);
    } else if (getpeername(reason->number, &peer->address.any, &size) == 0) {
        peer->size = (socklen_t)min_size(size, sizeof(peer->address));
    } else if (errno == ENOTSOCK) {
        peer->kind = FOR_PIPE;
    }
    errno = saved;
}

static struct reason_peer peer_of_reason(const struct coro_reason *reason)
{
    struct reason_peer peer = {.kind = reason->kind};

    if (reason->kind == FOR_SOCKET && reason->number >= 0)
        peer_set_socket(&peer, reason);
    else if (reason->kind == FOR_DNS && reason->subject)
        peer_set_name(&peer, reason->subject);
    return peer;
}

void reason_peer_text(const struct reason_peer *peer, char *text, size_t size)
{
    *text = '\0';
    if (peer->size == 0)
        return;
    if (peer->is_name)
        snprintf(text, size, "%s", peer->address.un.sun_path);
    else if (peer->address.any.sa_family != AF_UNIX || peer->size > sizeof(sa_family_t))
        address_name(&peer->address.any, text, size);
}

enum wait_kind reason_of_park(const struct coro *co, char *text, size_t size)
{
    const struct coro_reason *reason = &co->reason;
    struct reason_peer peer = peer_of_reason(reason);

    reason_peer_text(&peer, text, size);
    if (*text)
        return peer.kind;
    if (peer.kind == FOR_CHILD && reason->number > 0)
        snprintf(text, size, "pid %d", reason->number);
    else if (reason->number >= 0 && (peer.kind == FOR_SOCKET || peer.kind == FOR_PIPE))
        snprintf(text, size, "descriptor %d", reason->number);
    else if (peer.kind == FOR_LOCK && reason->subject)
        snprintf(text, size, "%p", reason->subject);
    return peer.kind;
}

/* ---- counting ---- */

static bool is_same_peer(const struct reason_peer *a, const struct reason_peer *b)
{
    return a->kind == b->kind && a->is_name == b->is_name && a->size == b->size &&
           !memcmp(&a->address, &b->address, a->size);
}

/* Returns the index of the peer in the list; the last place is for all that have found none. */
static int reason_find_peer(struct reason_peers *peers, const struct reason_peer *peer)
{
    for (size_t i = 0; i < peers->count; i++)
        if (is_same_peer(&peers->list[i], peer))
            return (int)i;
    if (peers->count < REASON_PEERS) {
        peers->list[peers->count] = *peer;
        return (int)peers->count++;
    }
    if (peers->count == REASON_PEERS)
        peers->list[peers->count++] = (struct reason_peer){0};
    return REASON_PEERS;
}

void reason_begin_counting(struct coro *co)
{
    struct reason_peers *peers = co->peers;
    struct reason_peer peer;

    co->reason_waited = 0;
    if (peers)
        peers->now = -1;
    if (co->reason.kind != FOR_SOCKET && co->reason.kind != FOR_DNS)
        return;
    if (!peers)
        peers = co->peers = xcalloc(1, sizeof(*peers));
    peer = peer_of_reason(&co->reason);
    co->reason.kind = peer.kind;
    peers->now = peer.size > 0 ? reason_find_peer(peers, &peer) : -1;
}

void reason_end_counting(struct coro *co)
{
    struct reason_peers *peers = co->peers;
    struct reason_peer *peer;

    if (!peers || peers->now < 0 || co->reason_waited == 0)
        return;
    peer = &peers->list[peers->now];
    if (peer->calls++ == 0)
        peer->first = co->since - co->reason_waited;
    peer->last = co->since;
    peer->waited += co->reason_waited;
    peers->now = -1;
}

void reason_clear(void)
{
    struct coro *co = coro_current;
    struct reason_peers *peers;

    if (!co)
        return;
    if (co->account && co->account->used)
        *co->account = (struct coro_account){0};
    peers = co->peers;
    if (peers)
        peers->count = 0;
}
