/*
 * barrier.c: pthread_barrier_wait and destroy.
 *
 * A barrier has no call that only tries. So on a coroutine libc's algorithm (glibc since 2.25) runs here, on libc's
 * fields, with waits that park; OS threads run libc's, and wake the parking lot afterwards. Each arrival takes a number
 * from `in`. A round is complete when `in` reaches a multiple of count; current_round is then set to that number, and
 * those with numbers up to it leave and count themselves in `out`. Before the numbers overflow, the last to leave
 * starts them again from 0. The layout is private to libc, so it is checked once with a barrier made for that; if it
 * has changed, barriers block.
 */
#include <limits.h>
#include <linux/futex.h>
#include <string.h>

#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/sync/futex.h"

#define MAX_IN (UINT_MAX / 2)

struct barrier {
    uint32_t in, current_round, count, shared, out;
};

_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t), "a barrier is smaller than libc's");

/* ---- libc's layout ---- */

static bool barrier_is_known(void)
{
    static enum { UNKNOWN, KNOWN, OTHER_LAYOUT } layout;
    static const struct barrier after_one = {.in = 1, .current_round = 1, .count = 1, .out = 1};
    pthread_barrier_t sample;

    if (layout == UNKNOWN) {
        memset(&sample, 0, sizeof(sample));
        pthread_barrier_init(&sample, NULL, 1);
        real()->pthread_barrier_wait(&sample);
        layout = memcmp(&sample, &after_one, sizeof(after_one)) == 0 ? KNOWN : OTHER_LAYOUT;
    }
    return layout == KNOWN;
}

static bool barrier_parks(enum caller_kind caller)
{
    return coro_self() && caller == CALLER_OTHER && barrier_is_known() && park_possible();
}

/* ---- on a coroutine ---- */

static uint32_t barrier_load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Park while the word has that value; not cancelled. */
static void barrier_park(const struct barrier *bar, const uint32_t *word, uint32_t value)
{
    struct futex_word one = {.word = word, .expected = value, .bits = WAIT_ADDR_ANY};
    struct futex_wait wait = {.words = &one, .count = 1, .shared = bar->shared != 0};

    park_ignore(futex_park(&wait));
}

static void barrier_wake(uint32_t *word, bool shared)
{
    futex_wake(word, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, INT_MAX, WAIT_ADDR_ANY);
}

/* The last number that may be given out: the end of a round. */
static uint32_t barrier_last_number(const struct barrier *bar)
{
    return MAX_IN - MAX_IN % bar->count;
}

/* Take a number, waiting until they start again if all have been given out. */
static uint32_t barrier_arrive(struct barrier *bar)
{
    uint32_t last = barrier_last_number(bar), number;

    while ((number = __atomic_add_fetch(&bar->in, 1, __ATOMIC_ACQ_REL)) > last)
        for (uint32_t in = number; in > last; in = barrier_load(&bar->in))
            barrier_park(bar, &bar->in, in);
    return number;
}

/* If the number completes a round, or several, let them leave. Returns the current round. */
static uint32_t barrier_complete(struct barrier *bar, uint32_t number)
{
    uint32_t round = barrier_load(&bar->current_round), next = number - number % bar->count;

    while (round + bar->count <= number) {
        if (!__atomic_compare_exchange_n(&bar->current_round, &round, next, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            continue;
        barrier_wake(&bar->current_round, bar->shared);
        return next;
    }
    return round;
}

static void barrier_leave(struct barrier *bar)
{
    uint32_t last = barrier_last_number(bar);
    bool shared = bar->shared;

    if (__atomic_add_fetch(&bar->out, 1, __ATOMIC_ACQ_REL) != last)
        return;
    __atomic_store_n(&bar->current_round, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&bar->out, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&bar->in, 0, __ATOMIC_RELEASE);
    barrier_wake(&bar->in, shared);
}

static int barrier_wait_parked(struct barrier *bar)
{
    uint32_t count = bar->count, number = barrier_arrive(bar), round = barrier_complete(bar, number);

    for (; number > round; round = barrier_load(&bar->current_round))
        barrier_park(bar, &bar->current_round, round);
    barrier_leave(bar); /* from here on the barrier may be destroyed */
    return number % count == 0 ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}

/* Wait until those that a round has released have left. */
static void barrier_destroy_parked(struct barrier *bar)
{
    uint32_t last = barrier_last_number(bar), in = barrier_load(&bar->in);

    if (__atomic_fetch_add(&bar->out, last - in, __ATOMIC_ACQ_REL) >= in)
        return;
    for (; in != 0; in = barrier_load(&bar->in))
        barrier_park(bar, &bar->in, in);
}

/* ---- the calls ---- */

int pthread_barrier_wait(pthread_barrier_t *barrier)
{
    struct barrier *bar = (struct barrier *)barrier;
    int result, saved = errno;

    if (barrier_parks(caller_kind())) {
        result = barrier_wait_parked(bar);
        errno = saved;
        return result;
    }
    result = real()->pthread_barrier_wait(barrier);
    parking_wake(&bar->current_round, INT_MAX);
    parking_wake(&bar->in, INT_MAX);
    return result;
}

int pthread_barrier_destroy(pthread_barrier_t *barrier)
{
    if (!barrier_parks(caller_kind()))
        return real()->pthread_barrier_destroy(barrier);
    barrier_destroy_parked((struct barrier *)barrier);
    return 0;
}
