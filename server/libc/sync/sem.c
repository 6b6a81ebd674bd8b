/*
 * sem.c: sem_wait and its relations. CPython's locks are semaphores, so this is what threading.Lock waits in.
 *
 * A semaphore may be in memory shared with other processes (multiprocessing's are), whose sem_post does not look into
 * our parking lot; such a one is tried again after short pauses. Which it is, sem_init and sem_open have noted behind
 * the value; the layout is libc's own, so it is looked up once in two semaphores made for that, and if it has changed
 * all count as shared.
 */
#include <string.h>

#include "libc/sync/parking.h"
#include "libc/runtime/caller.h"
#include "base/real.h"

/* ---- private or shared ---- */

#define NOTE_AT 2 /* in words of 32 bits, where glibc keeps it since 2.21 */

static int note_of(const sem_t *sem)
{
    int words[sizeof(*sem) / sizeof(int)];

    memcpy(words, sem, sizeof(words));
    return words[NOTE_AT];
}

static bool is_shared(const sem_t *sem)
{
    static enum { UNKNOWN, KNOWN, OTHER_LAYOUT } layout;
    sem_t samples[2];

    if (layout == UNKNOWN) {
        sem_init(&samples[0], 0, 7);
        sem_init(&samples[1], 1, 7);
        layout = note_of(&samples[0]) == 0 && note_of(&samples[1]) != 0 ? KNOWN : OTHER_LAYOUT;
    }
    return layout == OTHER_LAYOUT || note_of(sem) != 0;
}

/* ---- on a coroutine ---- */

static int try_wait(void *sem)
{
    if (real()->sem_trywait(sem) == 0)
        return 0;
    return errno == EAGAIN ? EBUSY : errno;
}

/* As the calls below return: 0, or -1 with errno. */
static int wait_until(sem_t *sem, int64_t deadline, int saved)
{
    struct parking_wait wait = {
        .object = sem, .try = try_wait, .deadline = deadline, .shared = is_shared(sem), .interrupted = true};

    return park_end(-parking_wait(&wait), saved);
}

static bool is_time(const struct timespec *ts)
{
    return ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000;
}

/* ---- the calls ---- */

int sem_wait(sem_t *sem)
{
    int saved = errno;

    if (!coro_self() || caller_kind() == CALLER_LOOP)
        return real()->sem_wait(sem);
    if (try_wait(sem) == 0)
        return 0;
    if (!park_possible())
        return real()->sem_wait(sem);
    return wait_until(sem, WAIT_FOREVER, saved);
}

int sem_timedwait(sem_t *sem, const struct timespec *until)
{
    int saved = errno;

    if (!coro_self() || caller_kind() == CALLER_LOOP || !is_time(until))
        return real()->sem_timedwait(sem, until);
    if (try_wait(sem) == 0)
        return 0;
    if (!park_possible())
        return real()->sem_timedwait(sem, until);
    return wait_until(sem, park_deadline(CLOCK_REALTIME, until), saved);
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    int saved = errno;

    if (!coro_self() || caller_kind() == CALLER_LOOP || !is_time(until) ||
        (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
        return real()->sem_clockwait(sem, clock, until);
    if (try_wait(sem) == 0)
        return 0;
    if (!park_possible())
        return real()->sem_clockwait(sem, clock, until);
    return wait_until(sem, park_deadline(clock, until), saved);
}

int sem_post(sem_t *sem)
{
    int result = real()->sem_post(sem);

    parking_wake(sem, 1);
    return result;
}
