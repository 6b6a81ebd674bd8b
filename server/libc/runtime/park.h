/* park.h: what all calls share when they have to wait. */
#ifndef LIBC_PARK_H
#define LIBC_PARK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "coro/coro.h"
#include "wait/wait.h"

/* This process may park from now on. */
void park_init(void);

/* Whether the running coroutine may park. Not in a child made by vfork, which runs on our stack and in our memory while
 * we stand still; finding that out takes a system call, so it is asked just before parking and nowhere else. */
bool park_possible(void);

/* Whether a wait was ended by a handler installed with SA_RESTART. Reading, writing, waiting for locks and children go
 * on then; calls that are there to wait end with EINTR as after any handler. */
static inline bool park_restarts(int result)
{
    return result == -ERESTART;
}

/* The error number for a negative result of a wait. */
static inline int park_error(int result)
{
    return park_restarts(result) ? EINTR : -result;
}

/* The outcome of a wait in the manner of a system call: false, and errno set, if it is a negative errno. */
static inline bool park_ok(int result)
{
    if (result < 0)
        errno = park_error(result);
    return result >= 0;
}

/* The same at the end of a call that began with errno saved: -1, or the result and that errno. */
static inline int park_end(int result, int saved)
{
    errno = result < 0 ? park_error(result) : saved;
    return result < 0 ? -1 : result;
}

/* For calls that only look, without a time-out: after so many in a row the coroutine goes to the end of the run queue,
 * since a loop of them would never give way, and perhaps it looks for what another coroutine is to do. */
void park_fair(void);

/* Whether libc would take this time, and what it is in nanoseconds, at most INT64_MAX. */
bool park_valid(const struct timespec *ts);
int64_t park_nanoseconds(const struct timespec *ts);

/* The deadline of a wait of that length; NULL: for ever. */
int64_t park_deadline_in(const struct timespec *length);

/* The deadline of a wait until an absolute time on any clock. */
int64_t park_deadline(clockid_t clock, const struct timespec *until);

/* Pauses that grow from 1 to 32 ms, for what the kernel and other processes announce to nobody: file locks, room in the
 * backlog of a Unix socket, semaphores in shared memory. Zero is the start. */
struct park_backoff {
    int64_t pause; /* nanoseconds */
};

/* 0 after the next pause; -ETIMEDOUT at the deadline, or the code of wait_cancel. */
int park_backoff(struct park_backoff *backoff, int64_t deadline);

/* The end of the next pause, for waits that something may end sooner. */
int64_t park_backoff_end(struct park_backoff *backoff, int64_t deadline);

#endif
