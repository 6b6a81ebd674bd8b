/*
 * wait.h: everything a coroutine can wait for, and the loop that wakes it.
 *
 * All waits return a negative errno if they did not get what they waited for: -ETIMEDOUT if the deadline passed
 * first, -EBADF if the descriptor was closed meanwhile, or the code of wait_cancel or wait_interrupt. Deadlines are
 * CLOCK_MONOTONIC nanoseconds, or WAIT_FOREVER. A wake-up may be spurious where the text says so: the caller then tries
 * again and waits again.
 *
 * Unless a function says otherwise it is for the loop's OS thread. Functions that wait are for coroutines only.
 */
#ifndef WAIT_H
#define WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coro/coro.h"
#include "base/list.h"

#define WAIT_FOREVER INT64_MAX

/* ---- loop.c: the event loop, one in the process ---- */

/* Make the loop, and this OS thread its owner. threads: size of the pool behind wait_offload; 0: 4. */
void wait_init(unsigned threads);

/* libuv is making the loop in this thread. It must get no io_uring: that would spare calls of epoll_ctl, which it
 * hardly makes here, and be one more descriptor, which nobody tells, for forked children to close. */
extern __thread bool wait_makes_loop __attribute__((tls_model("initial-exec")));

/* Free the loop. No coroutine may be running. */
void wait_exit(void);

/* Whether wait_init was called: not in a fork server. */
bool wait_has_loop(void);

/* Run the loop until wait_stop, or until no coroutine is running and nothing keeps it (see wait_hold). */
void wait_run(void);
void wait_stop(void);

/* Whether this is the loop's OS thread. Any thread. */
bool wait_is_owner(void);

/* Keep wait_run from returning when no coroutine is running: +1. Every +1 needs a -1. A coroutine that is no reason to
 * go on says -1, and before its end +1. */
void wait_hold(int change);

/* Counts the iterations of the loop, by two each: odd while it sleeps. Any thread. */
unsigned wait_iteration(void);

/* The version of libuv. */
const char *wait_uv_version(void);

/* An address of libuv, which tells its calls from those of others. */
const void *wait_uv_address(void);

/* CLOCK_MONOTONIC in nanoseconds, now. Any thread. */
int64_t wait_now(void);

/* The same in milliseconds, as the loop took it in this iteration: costs nothing. */
int64_t wait_time(void);

/* Returns the deadline that is so far away; WAIT_FOREVER if that is negative or too large. */
int64_t wait_deadline(int64_t nanoseconds);

/* Call fn(arg) on the loop's stack in its next iteration. Any thread, but not in a signal handler. */
void wait_post(void (*fn)(void *arg), void *arg);

/* Call fn in each iteration, before the loop sleeps; one function, for the life of the loop. */
void wait_each_iteration(void (*fn)(void));

/* Call fn on the loop's stack every so many milliseconds, or once after them. Neither keeps wait_run from returning. */
void wait_every(int64_t milliseconds, void (*fn)(void));
void wait_after(int64_t milliseconds, void (*fn)(void));

/* In a forked child: nothing here reaches the parent's loop any more, whose descriptors are closed. If it was forked by
 * a coroutine, and after wait_children_go_on, that coroutine goes on as the main one and can have a loop again;
 * otherwise there are no coroutines. */
void wait_forget(void);
void wait_children_go_on(void);

/* Make a loop in a forked child where coroutines go on, if it has none. It is made when it is needed, since many
 * children execute another program, or close all descriptors. Returns whether there is a loop. */
bool wait_revive(void);

/* Call fn when that has made a loop. One function. */
void wait_on_child(void (*fn)(void));

/* ---- start.c ---- */

/* coro_start and coro_run. If there is no memory for another stack, that is logged, at most once a second. */
struct coro *wait_start(void (*fn)(void *arg), void *arg);
struct coro *wait_start_sized(void (*fn)(void *arg), void *arg, size_t stack_size);
bool wait_start_now(void (*fn)(void *arg), void *arg);
struct coro *wait_start_computing(void (*fn)(void *arg), void *arg); /* coro_start_late */

/* ---- watcher.c: an OS thread that watches the loop, for time slices and for the watchdog ---- */

#define WAIT_SLICE INT64_C(5000000) /* nanoseconds: the slice for calls where no other one is set */

struct wait_watching {
    int64_t slice; /* nanoseconds after which a coroutine gives way, at a call that lets others run */
    bool preempt;  /* runtimes are asked to have their code give way too */

    /* Called on the watcher's thread at least every so many nanoseconds, with wait_iteration(); or NULL. */
    void (*look)(unsigned iteration);
    int64_t look_every;
};

/* Watch the loop from now on; returns 0 or a negative errno. Or only when a second coroutine is started, in this
 * process or in a forked child where coroutines go on. Once. */
int wait_watch(const struct wait_watching *watching);
void wait_watch_late(const struct wait_watching *watching);

/* ---- signal.c ---- */

/* Call fn on the loop's stack after signal signum, which is below 64; for the life of the loop. */
void wait_signal(int signum, void (*fn)(int signum));

/* ---- timer.c ---- */

/* Park until the deadline: 0, or the code of wait_cancel. */
int wait_sleep(int64_t deadline);

/* Returns the number of waits since the process began. */
uint64_t wait_count(void);

/* ---- wait_cancel.c: cancellation, a level: every wait fails until it is cleared ---- */

/* Park until coro_wake(co, result) or the deadline. Returns the result, -ETIMEDOUT, or the code of wait_cancel or
 * wait_interrupt. All waits of a coroutine are built on this. */
int wait_park(int64_t deadline);

/* Cancel a coroutine: its present wait and all later ones fail with code, a negative errno; 0 clears that. Waits that
 * cannot fail (wait_offload, wait_addr_park) go on; see there and wait_addr_park_cancellable for locks.
 *
 * -EINTR is for language runtimes, which look for the cause of an EINTR, and for libraries under them, which mostly try
 * again: waits then fail with -EINTR and -ECANCELED alternately, and after an -EINTR the coroutine has the main
 * thread's identity until its next wait, since runtimes run signal handlers in no other. */
void wait_cancel(struct coro *co, int code);

/* Cancel every coroutine, and those that are started later. Runtimes cancel theirs in their own way. */
void wait_cancel_all(int code);

/* ---- main_coro.c: signals and the main coroutine ---- */

/* From now on wait_interrupt is for this coroutine, which also keeps the OS thread's identity; NULL: for none. */
void wait_set_main(struct coro *co);

/* A signal handler has run: end the main coroutine's present wait, or its next one, with -EINTR, or with -ERESTART
 * after a handler with SA_RESTART. Any thread, and async-signal-safe. */
void wait_interrupt(int code);

/* Take back an interrupt that no wait has failed with yet. Returns its code; 0: there is none. */
int wait_interrupt_take(void);

/* ---- timeout.c: timeouts, many of one length ---- */

struct wait_timeout {
    struct list link; /* list_init before the first start */
    int64_t due;      /* by the clock of wait_time */
};

/* All timeouts of one length. Lives as long as the loop. */
struct wait_timeouts {
    struct list list;
    int64_t length;                     /* milliseconds; 0: they never expire */
    void (*fn)(struct wait_timeout *t); /* called on the loop's stack for each that expires; may start it again */
    struct wait_timeouts *next;
};

void wait_timeouts_init(struct wait_timeouts *list, int64_t milliseconds, void (*fn)(struct wait_timeout *t));

/* Start t, or start it over if it runs, in whatever list. Takes no system call and no memory. */
void wait_timeout_start(struct wait_timeouts *list, struct wait_timeout *t);

/* The same for one that is in no list; its link need not be initialized. */
void wait_timeout_start_new(struct wait_timeouts *list, struct wait_timeout *t);

/* The same with another time, not later than one that is started now. Takes longer, the more timeouts are due later. */
void wait_timeout_start_at(struct wait_timeouts *list, struct wait_timeout *t, int64_t due);

/* Stop t; nothing happens if it does not run. */
static inline void wait_timeout_stop(struct wait_timeout *t)
{
    list_remove(&t->link);
}

/* ---- fd.c: readiness of descriptors ---- */

/* Park until fd is ready for one of events (POLLIN, POLLOUT, POLLPRI, POLLRDHUP), an error or a hang-up, or until the
 * deadline. Returns the poll(2) events, > 0, or a negative errno: -EPERM for what epoll cannot watch (disk files),
 * which is always ready. May be spurious. It does not check first: the caller has tried the operation before. */
int wait_fd(int fd, short events, int64_t deadline);

/* poll(2) for coroutines: fills in revents and returns the count, 0 at the deadline, or a negative errno. */
int wait_fds(struct pollfd *fds, nfds_t count, int64_t deadline);

/* Whether wait_fd_close would do anything: a coroutine waits or has waited for fd, or it is a source. Only reads. */
bool wait_fd_known(int fd);

/* To be called before fd is closed: its waiters wake with -EBADF, and events that are still to come are dropped. */
void wait_fd_close(int fd);

/* A descriptor of the server itself. It stays registered, edge-triggered, for both directions as long as it lives, so
 * that no wait on it takes an epoll_ctl. */
struct wait_source {
    void (*ready)(struct wait_source *source, short events); /* called on the loop's stack when no coroutine waits */
    int fd;                                                  /* the owner's */
    short seen; /* the events of all edges; the owner clears bits, so that it misses none while it is busy */
};
int wait_source_open(struct wait_source *source);   /* 0 or -errno */
void wait_source_close(struct wait_source *source); /* before close(2) */

/* wait_source_close and close(2), for descriptors with FD_CLOEXEC that no other process is given. */
void wait_source_end(struct wait_source *source);

/* For listening sockets: for reading only, and of several processes not all wake up. What is there already is reported
 * too. 0 or -errno. */
int wait_source_open_shared(struct wait_source *source);

/* ---- addr.c: a parking lot keyed by address, in the manner of a futex ---- */

#define WAIT_ADDR_ANY UINT32_MAX /* all bits */

/* A coroutine that waits on addr; lives on its stack. Enter before the last look at the word, then park or leave, so
 * that no wake-up is lost between that look and the park. */
struct wait_addr {
    struct list link;
    const void *addr;
    struct coro *co;
    uint32_t bits; /* is woken only by those that have one of them too */
    bool woken;
};
void wait_addr_enter(struct wait_addr *w, const void *addr);
void wait_addr_leave(struct wait_addr *w); /* passes on a wake-up that it has got */

/* Park until wait_addr_wake, 0, or the deadline, -ETIMEDOUT, and leave the lot. May be spurious. */
int wait_addr_park(struct wait_addr *w, int64_t deadline);

/* The same; returns the code of wait_cancel or wait_interrupt too. A cancellation ends the wait on an address once: a
 * caller that then waits on the same address needs the lock, and that wait goes on. A wake-up that has come by the time
 * it runs goes before; the cancellation is then for its next wait. */
int wait_addr_park_cancellable(struct wait_addr *w, int64_t deadline);

/* The parts of such a wait, for futexes. Enter only if the word has that value, without a gap between the look and the
 * entry: whoever changes it and then wakes either finds this waiter, or false is returned here. */
bool wait_addr_enter_if(struct wait_addr *w, const uint32_t *word, uint32_t expected, uint32_t bits);

/* Park as wait_addr_park_cancellable does, but stay in the lot. Not if it is woken already. */
int wait_addr_sleep(struct wait_addr *w, int64_t deadline);

/* Whether a wake-up was for this waiter. The second one leaves the lot; the wake-up is then the caller's. */
bool wait_addr_is_woken(struct wait_addr *w);
bool wait_addr_leave_woken(struct wait_addr *w);

/* Wake up to count waiters of addr, first come first served; the second one, those that have one of the bits. Returns
 * how many. Any thread, also in a signal handler (where it may not know yet, and returns 0). */
int wait_addr_wake(const void *addr, int count);
int wait_addr_wake_bits(const void *addr, int count, uint32_t bits);

/* Wake up to so many waiters of from, and have up to so many of the others wait on to. Returns how many in all. */
int wait_addr_requeue(const void *from, int wake, const void *to, int move);

/* How many waiters the lot has: the fast path of a wake-up is to find that there are none. Any thread. */
extern atomic_int wait_addr_waiters;

/* This OS thread is in a signal handler, which may have interrupted the scheduler: it wakes nobody itself. */
extern __thread volatile sig_atomic_t wait_in_handler __attribute__((tls_model("initial-exec")));

/* ---- work.c ---- */

/* Run fn(arg) on a thread of the pool and return its result. Cannot be cancelled: arg may live on this stack. */
int wait_offload(int (*fn)(void *arg), void *arg);

/* The same on a thread of its own, for what may take so long that others would have to wait for the pool. */
int wait_thread(int (*fn)(void *arg), void *arg);

/* The same, and what the coroutine waits for: kind and subject of struct coro_reason. */
int wait_offload_for(enum wait_kind kind, const void *subject, int (*fn)(void *arg), void *arg);
int wait_thread_for(enum wait_kind kind, const void *subject, int (*fn)(void *arg), void *arg);

/* ---- away.c ---- */

/* The running coroutine goes on upon a thread of the pool, to compute there; if too many are away it first waits until
 * one is back. Returns false, and it stays, if it cannot: a main coroutine, whose thread-locals are the OS thread's, or
 * one that is to stay alone. It returns by wait_return, or when it would wait (coro_self). Cannot be cancelled. */
bool wait_depart(void);

/* Returns false if it was not away (any more). */
bool wait_return(void);

/* Returns how many are away. */
unsigned wait_away(void);

/* ---- child.c ---- */

/* Park until the child pid has ended, without reaping it. Returns 0, -ECHILD, -ETIMEDOUT or the code of wait_cancel. */
int wait_child(int pid, int64_t deadline);

#endif
