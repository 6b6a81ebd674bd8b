/* park.h: what all calls need that may park: whether they may, their results in the manner of libc, fairness, and
 * polling with back-off. */
#ifndef LIBC_PARK_H
#define LIBC_PARK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "coro/coro.h"
#include "wait/wait.h"

/* From now on coroutines of this process may park. */
void park_init(void);

/* In a forked child, after wait_forget: it may park if the coroutine goes on there. */
void park_forget(void);

/* Whether the running coroutine may park. False in a child of vfork, which runs on the coroutine's stack and in its
 * memory while the parent is suspended. To find out takes a system call, so this is asked only before parking. */
bool park_possible(void);

/* The same for a wait that another process is sure to end: false as well while the coroutine is to stay alone. */
bool park_possible_for_child(void);

/* Whether a handler that was installed with SA_RESTART has ended the wait. Reading, writing, and waiting for locks and
 * children then go on; calls that only wait fail with EINTR as after any handler. */
static inline bool park_restarts(int result)
{
    return result == -ERESTART;
}

/* Returns the error number for the negative result of a wait. */
static inline int park_error(int result)
{
    return park_restarts(result) ? EINTR : -result;
}

/* Returns whether the wait has succeeded; sets errno if not. */
static inline bool park_ok(int result)
{
    if (result < 0)
        errno = park_error(result);
    return result >= 0;
}

/* Returns the result of a wait as a libc call does: -1 with errno, or the result with errno as saved. */
static inline int park_end(int result, int saved)
{
    errno = result < 0 ? park_error(result) : saved;
    return result < 0 ? -1 : result;
}

/* The call goes on although its wait has failed: the coroutine must not keep the identity that it has after an EINTR.
 */
static inline void park_ignore(int result)
{
    if (result < 0 && coro_self())
        coro_self()->as_main = false;
}

/* For calls with a timeout of 0. A loop of them would never give way, although it may be waiting for something that
 * another coroutine has to do. So after so many in a row the coroutine goes to the end of the run queue. */
void park_fair(void);

/* For calls that may be a part of such a loop: whether the coroutine is away and may go on there. It comes home when it
 * has made many of them. */
bool park_stays_away(void);

/* For calls that were done without waiting: if the coroutine has used up its slice, it lets others run. Keeps errno. */
void park_give_way_slow(void);
static inline void park_give_way(void)
{
    if (slice_is_over())
        park_give_way_slow();
}

/* Pauses that double from 1 to 32 ms, for what nothing notifies us of: file locks, room in the backlog of a Unix
 * socket, semaphores in shared memory. Starts as zero. */
struct park_backoff {
    int64_t pause; /* the last one, nanoseconds */
};

/* Take the next pause. Returns 0, -ETIMEDOUT if the deadline has passed before it, or the code of wait_cancel. */
int park_backoff(struct park_backoff *backoff, int64_t deadline);

/* The same, and what the coroutine waits for: kind and number of struct coro_reason. */
int park_backoff_for(enum wait_kind kind, int number, struct park_backoff *backoff, int64_t deadline);

/* Returns the end of the next pause, or the deadline if that is earlier; for waits that can end sooner. */
int64_t park_backoff_end(struct park_backoff *backoff, int64_t deadline);

#endif
