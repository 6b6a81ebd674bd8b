/* futex.h: futex(2) for coroutines and OS threads together. */
#ifndef LIBC_FUTEX_H
#define LIBC_FUTEX_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "libc/sync/parking.h"

#define MAX_FUTEX_WORDS 128 /* of futex_waitv */

/* As syscall(SYS_futex, word, op, value, timeout or value2, word2, value3): -1 with errno. Any thread. */
long futex_call(uint32_t *word, int op, uint32_t value, uintptr_t timeout, uint32_t *word2, uint32_t value3);

/* One of the words that a wait is for. */
struct futex_word {
    const uint32_t *word;
    uint32_t expected;
    uint32_t bits;
    struct wait_addr place; /* futex_park's own */
};

struct futex_wait {
    struct futex_word *words;
    unsigned count;
    bool shared;                  /* another process may wake it */
    clockid_t clock;              /* of until */
    const struct timespec *until; /* NULL: for ever */
};

/* Park while all words are as expected. Returns the index of a word for which it was woken (or, if it is shared, that
 * has changed), -EAGAIN, -ETIMEDOUT, or -EINTR if the coroutine is cancelled, as futex_waitv does. */
int futex_park(struct futex_wait *wait);

/* Wake up to count waiters, coroutines and OS threads. op: FUTEX_WAKE or FUTEX_WAKE_BITSET with its flags. Returns how
 * many, or -1 with errno. */
long futex_wake(uint32_t *word, int op, int count, uint32_t bits);

/* After a futex call has woken and moved that many OS threads: do the same to coroutines. Returns how many in all. */
long futex_requeued(long done, const uint32_t *from, int wake, const uint32_t *to, int move);

/* Whether the memory is shared with other processes, as far as the kernel tells. */
bool futex_is_shared(const void *word);

#endif
