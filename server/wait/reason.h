/*
 * reason.h: what a coroutine waits for: said where a wait begins, and taken back where it ends.
 *
 *     bool told = reason_begin(FOR_DNS, -1, name);
 *     ... waits for descriptors, locks, threads ...
 *     reason_end(told);
 *
 * The outermost caller that says something is believed: a wait for a name is one, although it waits for sockets. So
 * each function of wait/ that parks says what it knows, and those above it say more. To say so costs a few stores. With
 * coro_clock, the calls and the time are counted by peer too.
 */
#ifndef REASON_H
#define REASON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "coro/coro.h"

#define REASON_PEERS 8 /* that are told apart in one account; further ones are counted together */

/* What a coroutine has waited for. */
struct reason_peer {
    enum wait_kind kind;
    uint32_t calls;
    int64_t waited; /* ns */
    int64_t first;  /* CLOCK_MONOTONIC ns when the first of these waits began, within the time that it took */
    int64_t last;   /* and when the last one was over */
    socklen_t size; /* of address; 0: unknown, or all further ones */
    bool is_name;   /* address.un.sun_path is a host name */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } address;
};

struct reason_peers {
    size_t count;
    int now; /* the index of that of the present wait; -1: none */
    struct reason_peer list[REASON_PEERS + 1];
};

void reason_begin_counting(struct coro *co);
void reason_end_counting(struct coro *co);

/* The running coroutine, if there is one, is about to wait. See struct coro_reason for number and subject. Returns what
 * reason_end must be given: whether nobody has said what for. */
static inline bool reason_begin(enum wait_kind kind, int number, const void *subject)
{
    struct coro *co = coro_current;

    if (!co || co->reason.given)
        return false;
    co->reason = (struct coro_reason){true, kind, number, subject};
    if (coro_clocked)
        reason_begin_counting(co);
    return true;
}

static inline void reason_end(bool told)
{
    if (!told)
        return;
    if (coro_clocked)
        reason_end_counting(coro_current);
    coro_current->reason.given = false;
    coro_current->reason.kind = FOR_OTHER;
}

/* Begin the account of the running coroutine anew. */
void reason_clear(void);

/* "socket", "dns" and so on. */
const char *reason_kind_name(enum wait_kind kind);

/* Returns the kind of that name, or WAIT_KINDS. */
enum wait_kind reason_kind_by_name(const char *name, size_t size);

#define REASON_TEXT_SIZE (ADDRESS_NAME_SIZE + 32)

/* Write what a parked coroutine waits for: "10.0.0.5:5432", "pid 4711", "example.com"; "" if there is nothing to say.
 * Its kind, which for a descriptor may be another one than its reason says, is returned. On the loop's thread. */
enum wait_kind reason_of_park(const struct coro *co, char *text, size_t size);

/* Write whom a peer is: "10.0.0.5:5432". */
void reason_peer_text(const struct reason_peer *peer, char *text, size_t size);

#endif
