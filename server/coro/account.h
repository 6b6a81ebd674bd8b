/*
 * account.h: what a coroutine waits for, and where its time has gone.
 *
 * The time between two looks at a coroutine is divided without a gap: it runs, or it waits for something, or it is
 * ready and others run. Code that is about to park it says what for (wait/reason.h); the scheduler takes the time,
 * after coro_clock.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

/* What a coroutine waits for. */
enum wait_kind {
    FOR_OTHER,  /* nobody has said */
    FOR_SOCKET, /* a connection of the application */
    FOR_PIPE,   /* a pipe, a terminal, or another descriptor that is no socket */
    FOR_DNS,    /* the address of a name */
    FOR_SLEEP,
    FOR_LOCK,   /* a lock, a condition, a semaphore, a queue of the application */
    FOR_DISK,   /* a call on a file, made by another thread */
    FOR_CHILD,  /* the end of a child process */
    FOR_THREAD, /* the end of other work of another thread */
    FOR_CLIENT, /* bytes of the request's body, or that its client takes bytes of the response */
    FOR_PLACE,  /* its turn: max-concurrency, or max-connections of [outbound] */
    WAIT_KINDS
};

struct coro_reason {
    bool given; /* kind says what the present wait is for */
    enum wait_kind kind;
    int number;          /* of a descriptor or a process; -1: none */
    const void *subject; /* borrowed for the wait; FOR_DNS: a name; FOR_SOCKET: a struct sockaddr; FOR_LOCK: an address;
                            otherwise NULL */
};

/* Nanoseconds since the account was cleared; only after coro_clock. */
struct coro_account {
    bool used;                  /* anything else is not 0 */
    int64_t ready;              /* it was ready, and others ran */
    int64_t pool;               /* CPU time of other threads that worked for it */
    int64_t waited[WAIT_KINDS]; /* pool is not a part of these */
    uint32_t waits[WAIT_KINDS]; /* number of these waits */
};

#endif
