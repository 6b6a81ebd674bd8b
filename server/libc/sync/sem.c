/*
 * sem.c: sem_wait, timedwait, clockwait and post. CPython's locks are semaphores, so threading.Lock waits here.
 *
 * A semaphore may be in memory that is shared with other processes, like those of multiprocessing, whose sem_post does
 * not wake our parking lot; such a one is tried again after short pauses. sem_init and sem_open store behind the value
 * whether it is shared. That layout is private to libc, so it is checked once with two semaphores made for that. If it
 * has changed, all semaphores count as shared.
 */
#include <string.h>

#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/timespec.h"
#include "libc/sync/parking.h"

/* ---- private or shared ---- */

#define SHARED_WORD 2 /* the word of 32 bits in which glibc since 2.21 stores it */

static int sem_shared_word(const sem_t *sem)
{
    int words[sizeof(*sem) / sizeof(int)];

    memcpy(words, sem, sizeof(words));
    return words[SHARED_WORD];
}

static bool sem_is_shared(const sem_t *sem)
{
    static enum { UNKNOWN, KNOWN, OTHER_LAYOUT } layout;
    sem_t samples[2];

    if (layout == UNKNOWN) {
        sem_init(&samples[0], 0, 7);
        sem_init(&samples[1], 1, 7);
        layout = sem_shared_word(&samples[0]) == 0 && sem_shared_word(&samples[1]) != 0 ? KNOWN : OTHER_LAYOUT;
    }
    return layout == OTHER_LAYOUT || sem_shared_word(sem) != 0;
}

/* ---- on a coroutine ---- */

static int sem_try(void *sem)
{
    if (real()->sem_trywait(sem) == 0)
        return 0;
    return errno == EAGAIN ? EBUSY : errno;
}

/* Returns 0, or -1 with errno, as the calls below do. */
static int sem_park_until(sem_t *sem, clockid_t clock, const struct timespec *until, int saved)
{
    struct parking_wait wait = {.lock = sem, .try = sem_try, .interrupted = true};

    wait.clock = clock;
    wait.until = until;
    wait.shared = sem_is_shared(sem);
    return park_end(-parking_wait(&wait), saved);
}

/* ---- the calls ---- */

int sem_wait(sem_t *sem)
{
    int saved = errno;

    if (!coro_here() || caller_kind() == CALLER_LOOP)
        return real()->sem_wait(sem);
    if (sem_try(sem) == 0)
        return 0;
    if (!park_possible())
        return real()->sem_wait(sem);
    return sem_park_until(sem, CLOCK_MONOTONIC, NULL, saved);
}

int sem_timedwait(sem_t *sem, const struct timespec *until)
{
    int saved = errno;

    if (!coro_here() || caller_kind() == CALLER_LOOP || !timespec_is_point(until))
        return real()->sem_timedwait(sem, until);
    if (sem_try(sem) == 0)
        return 0;
    if (!park_possible())
        return real()->sem_timedwait(sem, until);
    return sem_park_until(sem, CLOCK_REALTIME, until, saved);
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    int saved = errno;

    if (!coro_here() || caller_kind() == CALLER_LOOP || !timespec_is_point(until) ||
        (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
        return real()->sem_clockwait(sem, clock, until);
    if (sem_try(sem) == 0)
        return 0;
    if (!park_possible())
        return real()->sem_clockwait(sem, clock, until);
    return sem_park_until(sem, clock, until, saved);
}

int sem_post(sem_t *sem)
{
    int result = real()->sem_post(sem);

    parking_wake(sem, 1);
    return result;
}
