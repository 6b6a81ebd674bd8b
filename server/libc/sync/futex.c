/*
 * futex.c: futex(2), as libraries call it by libc's function syscall: libstdc++, abseil, Rust's std, GLib and others.
 *
 * Coroutines wait in the parking lot, OS threads in the kernel. A waker reaches both, and both count: it wakes no fewer
 * than it was asked to, and no wake-up is lost on a coroutine that had already stopped waiting. Which of the two come
 * first alternates, so that neither can starve the other. The arguments are checked by the kernel: FUTEX_CMP_REQUEUE of
 * nothing compares the word, and does no more.
 *
 * A wait without FUTEX_PRIVATE_FLAG may be ended by another process, which does not know the lot. Most callers that
 * leave out the flag (libstdc++) use private memory all the same. If the memory is really shared, the word is looked at
 * after short pauses, and a change counts as a wake-up.
 *
 * FUTEX_LOCK_PI stores the id of the OS thread as the owner. It is tried, and parks while that fails; nobody inherits a
 * priority from a coroutine. FUTEX_WAIT_REQUEUE_PI, which glibc no longer uses, blocks.
 */
#include "libc/sync/futex.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "base/array.h"
#include "base/real.h"
#include "libc/runtime/timespec.h"

#ifndef FUTEX_LOCK_PI2 /* Linux 5.14 */
#define FUTEX_LOCK_PI2 13
#endif

#define PAGE_PRESENT  (UINT64_C(1) << 63) /* in /proc/PID/pagemap */
#define PAGE_SHARABLE (UINT64_C(1) << 61) /* of a file, or of memory that is shared */

bool futex_is_shared(const void *word)
{
    off_t at = (off_t)((uintptr_t)word / (uintptr_t)sysconf(_SC_PAGESIZE) * sizeof(uint64_t));
    int fd = real()->open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), saved = errno;
    uint64_t page = 0;
    ssize_t got;

    if (fd < 0)
        return true;
    got = pread(fd, &page, sizeof(page), at);
    real()->close(fd);
    errno = saved;
    return got != sizeof(page) || !(page & PAGE_PRESENT) || page & PAGE_SHARABLE;
}

/* ---- waiting ---- */

static int64_t futex_deadline(const struct futex_wait *wait)
{
    return wait->until ? timespec_deadline_at(wait->clock, wait->until) : WAIT_FOREVER;
}

/* Leave the first words. Returns the index of one that has got a wake-up, or -EAGAIN. */
static int futex_leave(struct futex_wait *wait, unsigned count)
{
    int woken = -EAGAIN;

    while (count-- > 0)
        if (wait_addr_leave_woken(&wait->words[count].place))
            woken = (int)count;
    return woken;
}

/* Enter the lot for all words. Returns how many; fewer than wait->count if a word is not as expected. */
static unsigned futex_enter(struct futex_wait *wait)
{
    unsigned i = 0;

    for (; i < wait->count; i++) {
        struct futex_word *w = &wait->words[i];

        if (!wait_addr_enter_if(&w->place, w->word, w->expected, w->bits))
            break;
    }
    return i;
}

static bool futex_is_woken(struct futex_wait *wait)
{
    for (unsigned i = 0; i < wait->count; i++)
        if (wait_addr_is_woken(&wait->words[i].place))
            return true;
    return false;
}

/* Returns the index of a word that is no longer as expected, or -EAGAIN. */
static int futex_changed(const struct futex_wait *wait)
{
    for (unsigned i = 0; i < wait->count; i++)
        if (__atomic_load_n(wait->words[i].word, __ATOMIC_SEQ_CST) != wait->words[i].expected)
            return (int)i;
    return -EAGAIN;
}

/* Park, in the lot. Returns the index of a word that has changed if that was seen, or what the wait fails with if none
 * was woken meanwhile. */
static int futex_sleep(struct futex_wait *wait)
{
    struct park_backoff backoff = {0};
    int result = 0;

    while (!futex_is_woken(wait) && (result == 0 || park_restarts(result))) {
        int64_t deadline = futex_deadline(wait);

        result = wait_addr_sleep(&wait->words[0].place, wait->shared ? park_backoff_end(&backoff, deadline) : deadline);
        if (result != -ETIMEDOUT)
            continue;
        if (wait->shared && futex_changed(wait) >= 0)
            return futex_changed(wait);
        if (futex_deadline(wait) > wait_now())
            result = 0;
    }
    return result == -ETIMEDOUT ? result : -EINTR;
}

int futex_park(struct futex_wait *wait)
{
    unsigned entered = futex_enter(wait);
    int result = -EAGAIN, woken;

    if (entered == wait->count)
        result = futex_sleep(wait);
    woken = futex_leave(wait, entered);
    if (woken < 0)
        return result;
    park_ignore(result);
    return woken;
}

/* ---- FUTEX_WAIT ---- */

/* Have the kernel check the address, and compare the word. Returns 0, or -1 with errno. */
static long futex_compare(uint32_t *word, int op, uint32_t expected)
{
    return real()->syscall(SYS_futex, word, FUTEX_CMP_REQUEUE | (op & FUTEX_PRIVATE_FLAG), 0, 0, word, expected);
}

/* timeout: an interval for FUTEX_WAIT, a point in time for FUTEX_WAIT_BITSET. */
static long futex_wait(uint32_t *word, int op, uint32_t expected, const struct timespec *timeout, uint32_t bits)
{
    struct futex_word one = {.word = word, .expected = expected, .bits = bits};
    struct futex_wait wait = {.words = &one, .count = 1, .clock = CLOCK_MONOTONIC, .until = timeout};
    struct timespec end;
    int saved = errno;

    if (bits == 0 || (timeout && !timespec_is_interval(timeout))) {
        errno = EINVAL;
        return -1;
    }
    if (futex_compare(word, op, expected) < 0)
        return -1;
    if (timeout && (op & FUTEX_CMD_MASK) == FUTEX_WAIT) {
        end = timespec_of_ns(timespec_deadline_in(timeout));
        wait.until = &end;
    } else if (op & FUTEX_CLOCK_REALTIME) {
        wait.clock = CLOCK_REALTIME;
    }
    wait.shared = !(op & FUTEX_PRIVATE_FLAG) && futex_is_shared(word);
    return park_end(futex_park(&wait), saved);
}

/* ---- FUTEX_WAKE, FUTEX_REQUEUE ---- */

/* Whether a coroutine may be in the lot. The caller has changed the word before. */
static bool futex_lot_is_used(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&wait_addr_waiters, memory_order_relaxed) > 0;
}

static long futex_wake_threads(uint32_t *word, int op, int count, uint32_t bits)
{
    return real()->syscall(SYS_futex, word, op, count, NULL, NULL, bits);
}

long futex_wake(uint32_t *word, int op, int count, uint32_t bits)
{
    static atomic_uint turn;
    int woken = 0;
    long threads;

    if (!futex_lot_is_used())
        return futex_wake_threads(word, op, count, bits);
    count = count < 1 ? 1 : count; /* as the kernel takes it */
    if (atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % 2)
        woken = wait_addr_wake_bits(word, count, bits);
    if (woken == count)
        return woken;
    threads = futex_wake_threads(word, op, count - woken, bits);
    if (threads < 0)
        return woken > 0 ? woken : -1;
    woken += (int)threads;
    return woken < count ? woken + wait_addr_wake_bits(word, count - woken, bits) : woken;
}

long futex_requeued(long done, const uint32_t *from, int wake, const uint32_t *to, int move)
{
    int woken;

    if (done < 0 || !futex_lot_is_used())
        return done;
    woken = done < wake ? (int)done : wake; /* the kernel wakes first, and then moves */
    return done + wait_addr_requeue(from, wake - woken, to, move - ((int)done - woken));
}

/* ---- FUTEX_WAKE_OP ---- */

/* The operand of an operation is a number of 12 bits. */
static int wake_op_number(uint32_t bits)
{
    return (int)(bits << 20) >> 20;
}

static int wake_op_apply(int *word, uint32_t code)
{
    int operation = code >> 28 & 7, number = wake_op_number(code >> 12);

    if (code >> 28 & FUTEX_OP_OPARG_SHIFT)
        number = 1 << (number & 31);
    switch (operation) {
    case FUTEX_OP_SET:
        return __atomic_exchange_n(word, number, __ATOMIC_SEQ_CST);
    case FUTEX_OP_ADD:
        return __atomic_fetch_add(word, number, __ATOMIC_SEQ_CST);
    case FUTEX_OP_OR:
        return __atomic_fetch_or(word, number, __ATOMIC_SEQ_CST);
    case FUTEX_OP_ANDN:
        return __atomic_fetch_and(word, ~number, __ATOMIC_SEQ_CST);
    default: /* FUTEX_OP_XOR */
        return __atomic_fetch_xor(word, number, __ATOMIC_SEQ_CST);
    }
}

static bool wake_op_compare(int old, uint32_t code)
{
    int number = wake_op_number(code);

    switch (code >> 24 & 15) {
    case FUTEX_OP_CMP_EQ:
        return old == number;
    case FUTEX_OP_CMP_NE:
        return old != number;
    case FUTEX_OP_CMP_LT:
        return old < number;
    case FUTEX_OP_CMP_LE:
        return old <= number;
    case FUTEX_OP_CMP_GT:
        return old > number;
    default: /* FUTEX_OP_CMP_GE */
        return old >= number;
    }
}

/* Whether we know the operation and the comparison; if not the kernel says so. */
static bool wake_op_is_known(uint32_t code)
{
    return (code >> 28 & 7) <= FUTEX_OP_XOR && (code >> 24 & 15) <= FUTEX_OP_CMP_GE;
}

/* The operation is done here, since the kernel would not tell how the comparison came out. */
static long futex_wake_op(uint32_t *word, int op, int count, int count2, uint32_t *word2, uint32_t code)
{
    int wake = FUTEX_WAKE | (op & FUTEX_PRIVATE_FLAG);
    long woken, more = 0;
    int old;

    if (!wake_op_is_known(code))
        return real()->syscall(SYS_futex, word, op, count, (long)count2, word2, code);
    if ((futex_compare(word, op, 0) < 0 && errno != EAGAIN) || (futex_compare(word2, op, 0) < 0 && errno != EAGAIN))
        return -1;
    old = wake_op_apply((int *)word2, code);
    woken = futex_wake(word, wake, count, WAIT_ADDR_ANY);
    if (wake_op_compare(old, code))
        more = futex_wake(word2, wake, count2, WAIT_ADDR_ANY);
    return woken < 0 || more < 0 ? -1 : woken + more;
}

/* ---- FUTEX_LOCK_PI ---- */

/* The owner is this OS thread: another coroutine. It asks the kernel to unlock, by our syscall, if this bit is set. */
static bool futex_note_waiter(uint32_t *word)
{
    return __atomic_fetch_or(word, FUTEX_WAITERS, __ATOMIC_SEQ_CST) & FUTEX_TID_MASK;
}

/* As pthread_mutex_trylock. */
static int futex_try_pi(uint32_t *word, int private)
{
    int saved = errno, err;

    do {
        err = real()->syscall(SYS_futex, word, FUTEX_TRYLOCK_PI | private, 0, NULL, NULL, 0) < 0 ? errno : 0;
    } while (err == EDEADLK && !futex_note_waiter(word));
    errno = saved;
    return err == EDEADLK || err == EAGAIN ? EBUSY : err;
}

static int futex_try_pi_private(void *word)
{
    return futex_try_pi(word, FUTEX_PRIVATE_FLAG);
}

static int futex_try_pi_shared(void *word)
{
    return futex_try_pi(word, 0);
}

static long futex_lock_pi(uint32_t *word, int op, const struct timespec *until)
{
    bool real_time = (op & FUTEX_CMD_MASK) == FUTEX_LOCK_PI || op & FUTEX_CLOCK_REALTIME;
    struct parking_wait wait = {
        .lock = word,
        .try = op & FUTEX_PRIVATE_FLAG ? futex_try_pi_private : futex_try_pi_shared,
        .clock = real_time ? CLOCK_REALTIME : CLOCK_MONOTONIC,
        .until = until,
        .shared = true, /* a thread that ends unlocks what it owned, and does not tell us */
    };

    if (until && !timespec_is_interval(until)) {
        errno = EINVAL;
        return -1;
    }
    return park_end(-parking_wait(&wait), errno);
}

/* ---- the call ---- */

static bool futex_may_park(int command)
{
    return (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
            command == FUTEX_LOCK_PI2) &&
           coro_self() && park_possible();
}

static long futex_on_coroutine(uint32_t *word, int op, uint32_t value, const struct timespec *timeout, uint32_t bits)
{
    int command = op & FUTEX_CMD_MASK;

    if (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET)
        return futex_wait(word, op, value, timeout, command == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : bits);
    return futex_lock_pi(word, op, timeout);
}

long futex_call(uint32_t *word, int op, uint32_t value, uintptr_t timeout, uint32_t *word2, uint32_t value3)
{
    long result;

    if (futex_may_park(op & FUTEX_CMD_MASK))
        return futex_on_coroutine(word, op, value, (const struct timespec *)timeout, value3);
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAKE:
        return futex_wake(word, op, (int)value, WAIT_ADDR_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_wake(word, op, (int)value, value3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(word, op, (int)value, (int)timeout, word2, value3);
    }
    result = real()->syscall(SYS_futex, word, op, value, timeout, word2, value3);
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return futex_requeued(result, word, (int)value, word2, (int)timeout);
    case FUTEX_UNLOCK_PI:
        parking_wake(word, 1);
    }
    return result;
}
