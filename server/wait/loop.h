/* loop.h: what the files of wait/ share. */
#ifndef WAIT_LOOP_H
#define WAIT_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "base/library.h"

/* clang-format off */
#define LIBUV_CALLS(X)                                                                                          \
    X(uv_async_init) X(uv_async_send) X(uv_backend_fd) X(uv_backend_timeout) X(uv_close) X(uv_is_closing)       \
    X(uv_loop_close) X(uv_loop_init) X(uv_now) X(uv_run) X(uv_strerror) X(uv_timer_init)       \
    X(uv_timer_start) X(uv_update_time) X(uv_version_string) X(uv_walk)
/* clang-format on */
LIBRARY_DECLARE(libuv, LIBUV_CALLS);

/* The libuv loop, for handles and requests. What is started on it takes effect in the same iteration. */
uv_loop_t *loop_uv(void);

/* Take the time again, after the loop has slept. */
void loop_update_time(void);

/* fd.c: make and free the epoll set; uv_fd is libuv's own, which is watched with the rest. */
void fd_init(int uv_fd);
void fd_exit(void);

/* In a forked child: close the sources, and forget all watches. */
void fd_forget(void);

/* Wait up to so many nanoseconds, or WAIT_FOREVER, then wake the waiters and call the sources that have events. Returns
 * whether uv_fd is ready. */
bool fd_poll(int64_t nanoseconds);

/* watcher.c: the loop has looked for events, and the watcher may sleep because nothing happened before. */
extern atomic_int watcher_sleeps;
void watcher_wake_slow(void);
static inline void watcher_wake(void)
{
    if (__builtin_expect(atomic_load_explicit(&watcher_sleeps, memory_order_relaxed), 0))
        watcher_wake_slow();
}

/* A coroutine is about to be started: start the watcher, if it is to be started then. */
void watcher_start_late(void);

/* In a forked child: there is no watcher. */
void watcher_forget(void);

/* work.c: set the size of the thread pool, whose threads are made when they are first needed. */
void work_init(unsigned threads);

/* uv_async_send, any thread, and in signal handlers. libuv writes to a descriptor then, and the loop waits until it has
 * done so: a coroutine must not give way in the middle, nor come home. */
void loop_notify(uv_async_t *async);

/* What a thread of the pool does: fn(arg); then the loop calls done with the struct. */
struct work {
    struct work *next;
    int (*fn)(void *arg);
    void *arg;
    int result;  /* of fn */
    int64_t cpu; /* nanoseconds that it has taken, if anybody wants to know */
    void (*done)(void *work);
    struct coro *co; /* who has queued it */
};

/* Queue work for the pool. Returns false if there is no memory for its first thread; the second one says so before. */
bool work_queue(struct work *work);
bool work_possible(void);

/* Returns how many threads the pool can have. */
unsigned work_threads(void);

/* away.c: nobody is away; the second one in a forked child. */
void away_init(void);
void away_forget(void);

/* timer.c: park until coro_wake or the deadline, whatever else happens. Returns the result, or -ETIMEDOUT. */
int timer_park(int64_t deadline);

/* timer.c: the earliest deadline, or WAIT_FOREVER; wake those whose deadline has passed; free the heap. */
int64_t timer_first(void);
void timer_run(void);
void timer_exit(void);

/* wait_cancel.c: as wait_park, for a wait on a lock. */
int cancel_park_lock(struct wait_addr *w, int64_t deadline);

/* In a forked child: there are no timers, and no threads of the pool. */
void timer_forget(void);
void work_forget(void);

void timeout_init(void);
void timeout_exit(void);
void signal_exit(void);
void signal_forget(void);
void addr_init(void);
void interrupt_init(void);
void interrupt_forget(void);

#endif
