/*
 * park.c: what all calls need that may park.
 *
 * A coroutine that is away upon a thread of the pool may not park there: who asks whether it may has it come home, so
 * the answer is as for any other. Calls that do not wait are made where it is.
 *
 * After a fork only the process that called park_init may park: its loop runs the coroutines. A child of fork has no
 * coroutines at all (coro_forget), or one that can have a loop as soon as it has to park (wait_revive). But one of
 * vfork sees coro_self() as its parent does, so the process id is compared.
 */
#include "libc/runtime/park.h"

#include <unistd.h>

#include "base/array.h"
#include "wait/reason.h"

#define MAX_LOOKS_IN_A_ROW 64
#define MAX_LOOKS_AWAY     1000
#define FIRST_PAUSE        INT64_C(1000000)  /* nanoseconds */
#define MAX_PAUSE          INT64_C(32000000) /* nanoseconds */

static pid_t loop_pid;  /* the process that has a loop */
static pid_t child_pid; /* the forked child that may have one; 0: none */

void park_init(void)
{
    loop_pid = getpid();
}

void park_forget(void)
{
    loop_pid = 0;
    child_pid = coro_self() ? getpid() : 0;
}

/* In the child of a fork, not in that of a vfork, which has another pid. */
static bool park_revive(void)
{
    if (getpid() != child_pid || !wait_revive())
        return false;
    loop_pid = child_pid;
    return true;
}

bool park_possible(void)
{
    return coro_self() && (getpid() == loop_pid || park_revive());
}

bool park_possible_for_child(void)
{
    return park_possible() && !coro_self()->alone;
}

bool park_stays_away(void)
{
    return coro_guest && ++coro_guest->looks < MAX_LOOKS_AWAY;
}

void park_fair(void)
{
    static unsigned looks;

    if (park_stays_away() || !coro_self() || ++looks < MAX_LOOKS_IN_A_ROW || !park_possible())
        return;
    looks = 0;
    coro_yield();
}

void park_give_way_slow(void)
{
    if (coro_current && slice_is_mine() && !coro_holds_runtime() && park_possible())
        coro_yield_late();
}

int64_t park_backoff_end(struct park_backoff *backoff, int64_t deadline)
{
    backoff->pause = backoff->pause == 0 ? FIRST_PAUSE : min_int64(2 * backoff->pause, MAX_PAUSE);
    return min_int64(wait_deadline(backoff->pause), deadline);
}

int park_backoff(struct park_backoff *backoff, int64_t deadline)
{
    if (deadline <= wait_now())
        return -ETIMEDOUT;
    return wait_sleep(park_backoff_end(backoff, deadline));
}

int park_backoff_for(enum wait_kind kind, int number, struct park_backoff *backoff, int64_t deadline)
{
    bool told = reason_begin(kind, number, NULL);
    int result = park_backoff(backoff, deadline);

    reason_end(told);
    return result;
}
