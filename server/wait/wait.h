/*
 * wait.h: everything a coroutine can wait for, and the loop that wakes it.
 *
 * All waits return a negative errno when they did not get what they waited for: -ETIMEDOUT when the deadline passed
 * first, -EBADF when the descriptor was closed meanwhile, or the code of wait_cancel or wait_interrupt. Deadlines are
 * CLOCK_MONOTONIC nanoseconds; WAIT_FOREVER for none. A wake-up may be spurious where the text says so: callers try
 * again and wait again.
 *
 * Unless a function says otherwise it is for the loop's OS thread. Functions that wait are for coroutines only.
 */
#ifndef WAIT_H
#define WAIT_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coro/coro.h"
#include "base/list.h"

#define WAIT_FOREVER INT64_MAX

/* ---- loop.c: the libuv loop, one in the process ---- */

/* Make the loop and make this OS thread its owner. threads: size of the pool behind wait_offload; 0: libuv's preset. */
void wait_init(unsigned threads);

/* Free the loop. No coroutine may be running. */
void wait_exit(void);

/* Run the loop until wait_stop, or until no coroutine is running and nothing keeps it (see wait_hold). */
void wait_run(void);
void wait_stop(void);

/* Whether this is the loop's OS thread. Any thread. */
bool wait_is_owner(void);

/* Keep wait_run going although no coroutine is running: +1 and -1 must balance. */
void wait_hold(int change);

/* Counts the turns of the loop: odd while it sleeps. Any thread. */
unsigned wait_turn(void);

/* The version of libuv. */
const char *wait_version(void);

/* CLOCK_MONOTONIC in nanoseconds, now. Any thread. */
int64_t wait_now(void);

/* The same in milliseconds, as it was when the loop turned last: costs nothing. */
int64_t wait_time(void);

/* Deadline from a relative time; negative or too large means WAIT_FOREVER. */
int64_t wait_deadline(int64_t nanoseconds);

/* Call fn(arg) on the loop's stack as soon as it turns. Any thread, also from a signal handler's thread, not from the
 * handler itself. */
void wait_post(void (*fn)(void *arg), void *arg);

/* Call fn at the end of each turn, before the loop sleeps; one function, for the life of the loop. */
void wait_each_turn(void (*fn)(void));

/* In a forked child, which has none of the parent's coroutines: nothing here reaches the parent's loop from then on. */
void wait_forget(void);

/* ---- signal.c ---- */

/* A signal handler run on the loop's stack, for the life of the loop. signum < 64. */
void wait_signal(int signum, void (*fn)(int signum));

/* ---- timer.c ---- */

/* Park until the deadline: 0, or the code of wait_cancel. */
int wait_sleep(int64_t deadline);

/* How many waits there were since the process began. */
uint64_t wait_count(void);

/* A callback every so many milliseconds, or once after them, on the loop's stack. Neither keeps the loop going. */
void wait_every(int64_t milliseconds, void (*fn)(void));
void wait_after(int64_t milliseconds, void (*fn)(void));

/* ---- cancel.c: cancellation, a level: every wait fails until it is cleared ---- */

/* Park until coro_wake(co, result) or the deadline; returns the result, -ETIMEDOUT, or the code of wait_cancel or
 * wait_interrupt. All waits of a coroutine are built on this. */
int wait_park(int64_t deadline);

/* Cancel a coroutine: its present wait and all later ones fail with code, a negative errno; 0 clears that. Waits that
 * cannot fail (wait_offload, wait_addr_park) go on; see there and wait_addr_park_cancellable for locks.
 *
 * -EINTR is for language runtimes, which look for the cause of an EINTR, and for libraries under them, which mostly try
 * again: waits then fail with -EINTR and -ECANCELED in turns, and after an -EINTR the coroutine has the main thread's
 * identity until its next wait, since runtimes run signal handlers in no other. */
void wait_cancel(struct coro *co, int code);

/* Cancel every coroutine, and those that are started later. Runtimes cancel theirs in their own way. */
void wait_cancel_all(int code);

/* ---- main_coro.c: signals and the main coroutine ---- */

/* From now on wait_interrupt is for this coroutine, which also keeps the OS thread's identity; NULL: for none. */
void wait_set_main(struct coro *co);

/* A signal handler has run: end the main coroutine's present wait, or its next one, with -EINTR, or with -ERESTART
 * after a handler with SA_RESTART. Any thread, and async-signal-safe. */
void wait_interrupt(int code);

/* Take back what wait_interrupt has said and no wait has heard yet: the code, or 0. */
int wait_interrupt_take(void);

/* ---- timeout.c: time-outs of which there are many of one length ---- */

struct wait_timeout {
    struct list link; /* list_init before the first start */
    int64_t due;
};

/* Those of one length. It stays as long as the loop does. */
struct wait_timeouts {
    struct list list;
    int64_t length;                     /* milliseconds; 0: they never run out */
    void (*fn)(struct wait_timeout *t); /* called on the loop's stack for one that has, which may start it again */
    struct wait_timeouts *next;
};

void wait_timeouts_init(struct wait_timeouts *list, int64_t milliseconds, void (*fn)(struct wait_timeout *t));

/* Start, also one that runs already, in whatever list. Costs no system call and no memory. */
void wait_timeout_start(struct wait_timeouts *list, struct wait_timeout *t);

/* Stop, also one that does not run. */
static inline void wait_timeout_stop(struct wait_timeout *t)
{
    list_remove(&t->link);
}

/* ---- fd.c: one watcher for each descriptor ---- */

/* Park until fd is ready for one of events (POLLIN, POLLOUT, POLLPRI, POLLRDHUP), an error or a hang-up, or until the
 * deadline. Returns the poll(2) events, > 0, or a negative errno. May be spurious. -EPERM for what epoll cannot watch
 * (disk files), which is always ready. Does not look first: callers try the operation before. */
int wait_fd(int fd, short events, int64_t deadline);

/* poll(2) on a coroutine: fills in revents and returns the count, 0 at the deadline, or a negative errno. */
int wait_fds(struct pollfd *fds, nfds_t count, int64_t deadline);

/* Whether wait_fd_close would do anything: somebody waits for fd, or has waited. Reads only. */
bool wait_fd_known(int fd);

/* fd is about to be closed: its waiters wake with -EBADF, and nothing of it is remembered. */
void wait_fd_close(int fd);

/* A descriptor of our own that stays registered, edge-triggered, for both directions as long as it lives: no epoll_ctl
 * is made for any wait on it. Where nobody waits, ready(arg, events) is called on the loop's stack instead. seen
 * gathers the events of all edges until the owner clears bits, so that none is lost that came while it did something
 * else. */
struct wait_source {
    void (*ready)(struct wait_source *source, short events);
    int fd;
    short seen;
};
int wait_source_open(struct wait_source *source);   /* 0 or -errno */
void wait_source_close(struct wait_source *source); /* before close(2) */

/* wait_source_close and close(2), for descriptors with FD_CLOEXEC that are nobody else's. */
void wait_source_end(struct wait_source *source);

/* The same level-triggered for reading, and such that of several processes only some wake up: listening sockets. */
int wait_source_open_shared(struct wait_source *source);

/* ---- addr.c: a parking lot keyed by address, in the manner of a futex ---- */

/* Someone waits on addr. Taken before the last look at the word and ended by wait_addr_park or wait_addr_leave, so that
 * no wake-up is lost between that look and the park. Lives on the waiter's stack. */
struct wait_addr {
    struct list link;
    const void *addr;
    struct coro *co;
    bool woken;
};
void wait_addr_enter(struct wait_addr *w, const void *addr);
void wait_addr_leave(struct wait_addr *w);

/* Park until wait_addr_wake, 0, or the deadline, -ETIMEDOUT. Leaves the lot. Spurious wake-ups happen. */
int wait_addr_park(struct wait_addr *w, int64_t deadline);

/* The same; returns the code of wait_cancel or wait_interrupt too. A cancellation ends the wait on one address once:
 * who waits for the same one again cannot do without it. */
int wait_addr_park_cancellable(struct wait_addr *w, int64_t deadline);

/* Wake up to count of those who entered for addr, first come first served. Any thread. */
void wait_addr_wake(const void *addr, int count);

/* Whether anybody waits in the lot at all: the fast path of those who would wake. Any thread. */
extern atomic_int wait_addr_waiters;

/* ---- work.c ---- */

/* Run fn(arg) on a thread of the pool and return what it returns. Not cancellable: arg may live on this stack. */
int wait_offload(int (*fn)(void *arg), void *arg);

/* ---- child.c ---- */

/* Park until the child pid can be waited for; 0, or -ECHILD, or the code of wait_cancel. Leaves the zombie. */
int wait_child(int pid, int64_t deadline);

#endif
