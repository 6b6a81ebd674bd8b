/*
 * futex2.c: futex_waitv, futex_wait, futex_wake and futex_requeue, the calls of Linux 5.16 and 6.7 that follow
 * futex(2).
 *
 * All architectures have the same numbers for them. As in futex.c the kernel checks the arguments: a wait is first made
 * with a deadline that has passed, and a kernel that has no such call says so.
 */
#include "libc/sync/futex2.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include "base/real.h"
#include "libc/runtime/timespec.h"
#include "libc/sync/futex.h"

#define NUMBER_WAITV   449
#define NUMBER_WAKE    454
#define NUMBER_WAIT    455
#define NUMBER_REQUEUE 456

#define SIZE_MASK 3
#define SIZE_U32  2
#define PRIVATE   FUTEX_PRIVATE_FLAG

/* struct futex_waitv, which older headers do not have. */
struct word2 {
    uint64_t value, address;
    uint32_t flags, reserved;
};

bool futex2_has(long number)
{
    return number == NUMBER_WAITV || (number >= NUMBER_WAKE && number <= NUMBER_REQUEUE);
}

/* Whether all words have the size that we know. */
static bool word2_are_plain(const struct word2 *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if ((words[i].flags & SIZE_MASK) != SIZE_U32)
            return false;
    return true;
}

/* Whether a wait with a deadline in the past has shown that all is as expected. */
static bool futex2_is_valid(long result)
{
    return result < 0 && errno == ETIMEDOUT;
}

static long futex2_waitv(const struct word2 *list, unsigned count, unsigned flags, const struct timespec *until,
                         clockid_t clock)
{
    struct futex_word words[MAX_FUTEX_WORDS];
    struct futex_wait wait = {.words = words, .count = count, .clock = clock, .until = until};
    int saved = errno;
    long result;

    if (until && !timespec_is_interval(until))
        return real()->syscall(NUMBER_WAITV, list, count, flags, until, clock);
    result = real()->syscall(NUMBER_WAITV, list, count, flags, &timespec_zero, until ? clock : CLOCK_MONOTONIC);
    if (!futex2_is_valid(result))
        return result;
    if (!word2_are_plain(list, count))
        return real()->syscall(NUMBER_WAITV, list, count, flags, until, clock);
    for (unsigned i = 0; i < count; i++) {
        words[i] = (struct futex_word){.word = (const uint32_t *)(uintptr_t)list[i].address,
                                       .expected = (uint32_t)list[i].value,
                                       .bits = WAIT_ADDR_ANY};
        wait.shared |= !(list[i].flags & PRIVATE) && futex_is_shared(words[i].word);
    }
    return park_end(futex_park(&wait), saved);
}

static long futex2_wait(const uint32_t *word, unsigned long value, unsigned long bits, unsigned flags,
                        const struct timespec *until, clockid_t clock)
{
    struct futex_word one = {.word = word, .expected = (uint32_t)value, .bits = (uint32_t)bits};
    struct futex_wait wait = {.words = &one, .count = 1, .clock = clock, .until = until};
    int saved = errno;
    long result;

    if (until && !timespec_is_interval(until))
        return real()->syscall(NUMBER_WAIT, word, value, bits, flags, until, clock);
    result = real()->syscall(NUMBER_WAIT, word, value, bits, flags, &timespec_zero, until ? clock : CLOCK_MONOTONIC);
    if (!futex2_is_valid(result))
        return result;
    if ((flags & SIZE_MASK) != SIZE_U32)
        return real()->syscall(NUMBER_WAIT, word, value, bits, flags, until, clock);
    wait.shared = !(flags & PRIVATE) && futex_is_shared(word);
    return park_end(futex_park(&wait), saved);
}

/* OS threads first; futex_wake would take a count of 0 for 1. */
static long futex2_wake(uint32_t *word, unsigned long bits, int count, unsigned flags)
{
    long woken = real()->syscall(NUMBER_WAKE, word, bits, count, flags);

    atomic_thread_fence(memory_order_seq_cst);
    if (woken < 0 || woken >= count)
        return woken;
    return woken + wait_addr_wake_bits(word, count - (int)woken, (uint32_t)bits);
}

static long futex2_requeue(const struct word2 *words, unsigned flags, int wake, int move)
{
    long done = real()->syscall(NUMBER_REQUEUE, words, flags, wake, move);

    if (done < 0)
        return done;
    return futex_requeued(done, (const uint32_t *)(uintptr_t)words[0].address, wake,
                          (const uint32_t *)(uintptr_t)words[1].address, move);
}

long futex2_call(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == NUMBER_WAKE)
        return futex2_wake((uint32_t *)a, (unsigned long)b, (int)c, (unsigned)d);
    if (number == NUMBER_REQUEUE)
        return futex2_requeue((const struct word2 *)a, (unsigned)b, (int)c, (int)d);
    if (!coro_self() || !park_possible())
        return real()->syscall(number, a, b, c, d, e, f);
    if (number == NUMBER_WAITV)
        return futex2_waitv((const struct word2 *)a, (unsigned)b, (unsigned)c, (const struct timespec *)d,
                            (clockid_t)e);
    return futex2_wait((const uint32_t *)a, (unsigned long)b, (unsigned long)c, (unsigned)d, (const struct timespec *)e,
                       (clockid_t)f);
}
