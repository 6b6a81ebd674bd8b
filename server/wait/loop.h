/* loop.h: what the files of wait/ share. */
#ifndef WAIT_LOOP_H
#define WAIT_LOOP_H

#include <stdbool.h>
#include <uv.h>

/* The libuv loop, for handles and requests. What is started on it takes effect in the same iteration. */
uv_loop_t *loop_uv(void);

/* Take the time again, after the loop has slept. */
void loop_update_time(void);

/* fd.c: make and free the epoll set; uv_fd is libuv's own, which is watched with the rest. */
void fd_init(int uv_fd);
void fd_exit(void);

/* Wait up to so many nanoseconds, or WAIT_FOREVER, then wake the waiters and call the sources that have events. Returns
 * whether uv_fd is ready. */
bool fd_poll(int64_t nanoseconds);

/* work.c: set the size of the thread pool, which is made when it is first needed. */
void work_init(unsigned threads);

/* timer.c: park until coro_wake or the deadline, whatever else happens. Returns the result, or -ETIMEDOUT. */
int timer_park(int64_t deadline);

/* timer.c: the earliest deadline, or WAIT_FOREVER; wake those whose deadline has passed; free the heap. */
int64_t timer_first(void);
void timer_run(void);
void timer_exit(void);

/* wait_cancel.c: as wait_park, for a wait on a lock. */
int cancel_park_lock(const void *lock, int64_t deadline);

void timeout_init(void);
void signal_exit(void);
void addr_init(void);
void interrupt_init(void);
void interrupt_forget(void);

#endif
