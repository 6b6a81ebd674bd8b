/*
 * addr.c: a parking lot: coroutines that wait for an address, as in a futex.
 *
 * Semaphores, mutexes and conditions stay libc's own objects, so that OS threads can use them too; only the waiting of
 * coroutines is ours. A waiter enters the lot, looks at the object once more, and parks. Code that changes the object
 * reads wait_addr_waiters, and locks the lot only if a waiter may be there. Another OS thread than the loop's hands the
 * waiters that it wakes to the loop by an async handle, and so does a signal handler, which may have interrupted the
 * scheduler. The lock is a spin lock, since it is held for a few instructions.
 */
#include "wait/wait.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>

#include "base/array.h"
#include "base/real.h"
#include "wait/loop.h"
#include "wait/reason.h"

#define BUCKETS   1024
#define MAX_LATER 8

atomic_int wait_addr_waiters;
__thread volatile sig_atomic_t wait_in_handler __attribute__((tls_model("initial-exec")));

struct bucket {
    struct list waiters; /* whose addresses have this hash */
    atomic_int entered;  /* those that have entered and not left, with those that are woken already */
};

static struct {
    atomic_flag lock;
    struct bucket buckets[BUCKETS];
    struct list woken; /* by other threads; their coroutines do not know yet */
    uv_async_t async;
} parking = {.lock = ATOMIC_FLAG_INIT};

/* ---- the lock ---- */

/* A signal handler that interrupts the holder of the lock cannot have it. It leaves what it wants to wake to the
 * holder, in the same thread. */
static __thread struct {
    volatile sig_atomic_t held, count;
    struct {
        const void *addr;
        int count;
        uint32_t bits;
    } later[MAX_LATER];
} holder __attribute__((tls_model("initial-exec")));

static void addr_lock(void)
{
    holder.held = 1;
    atomic_signal_fence(memory_order_seq_cst);
    while (atomic_flag_test_and_set_explicit(&parking.lock, memory_order_acquire))
        real()->sched_yield();
}

/* Do what signal handlers have left to us, and as they would: the coroutine may be about to park. If they were too many
 * everybody is woken, and looks again. */
static void addr_wake_later(void)
{
    int count = holder.count;
    sig_atomic_t in_handler = wait_in_handler;

    holder.count = 0;
    wait_in_handler = 1;
    for (int i = 0; i < count && i < MAX_LATER; i++)
        wait_addr_wake_bits(holder.later[i].addr, holder.later[i].count, holder.later[i].bits);
    if (count > MAX_LATER)
        wait_addr_wake_bits(NULL, INT_MAX, WAIT_ADDR_ANY);
    wait_in_handler = in_handler;
}

static void addr_unlock(void)
{
    atomic_flag_clear_explicit(&parking.lock, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    holder.held = 0;
    if (__builtin_expect(holder.count > 0, 0))
        addr_wake_later();
}

static int addr_note_later(const void *addr, int count, uint32_t bits)
{
    int i = holder.count;

    holder.count = i < MAX_LATER ? i + 1 : MAX_LATER + 1;
    if (i < MAX_LATER) {
        holder.later[i].addr = addr;
        holder.later[i].count = count;
        holder.later[i].bits = bits;
    }
    return 0;
}

/* ---- entering and leaving ---- */

static struct bucket *addr_bucket(const void *addr)
{
    uintptr_t n = (uintptr_t)addr >> 2;

    return &parking.buckets[(n ^ n >> 10 ^ n >> 20) % BUCKETS];
}

static void addr_wake_coroutines(uv_async_t *async)
{
    struct list *node;

    addr_lock();
    while ((node = list_pop(&parking.woken)))
        coro_wake(list_entry(node, struct wait_addr, link)->co, 0);
    addr_unlock();
}

void addr_init(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(parking.buckets); i++) {
        list_init(&parking.buckets[i].waiters);
        atomic_store(&parking.buckets[i].entered, 0);
    }
    list_init(&parking.woken);
    atomic_flag_clear(&parking.lock); /* in a forked child: another thread may have held it */
    libuv.uv_async_init(loop_uv(), &parking.async, addr_wake_coroutines);
}

/* Count a waiter in or out: who changes the object and then reads a 0 knows that nobody waits for it. */
static void addr_count(const void *addr, int change)
{
    atomic_fetch_add(&addr_bucket(addr)->entered, change);
    atomic_fetch_add(&wait_addr_waiters, change);
}

static void addr_prepare(struct wait_addr *w, const void *addr, uint32_t bits)
{
    *w = (struct wait_addr){.addr = addr, .co = coro_self(), .bits = bits};
    list_init(&w->link);
    addr_count(addr, 1);
}

void wait_addr_enter(struct wait_addr *w, const void *addr)
{
    addr_prepare(w, addr, WAIT_ADDR_ANY);
    addr_lock();
    list_push(&addr_bucket(addr)->waiters, &w->link);
    addr_unlock();
}

bool wait_addr_enter_if(struct wait_addr *w, const uint32_t *word, uint32_t expected, uint32_t bits)
{
    bool same;

    addr_prepare(w, word, bits);
    addr_lock();
    same = __atomic_load_n(word, __ATOMIC_SEQ_CST) == expected;
    if (same)
        list_push(&addr_bucket(word)->waiters, &w->link);
    addr_unlock();
    if (!same)
        addr_count(word, -1);
    return same;
}

bool wait_addr_leave_woken(struct wait_addr *w)
{
    bool woken;

    addr_lock();
    list_remove(&w->link);
    woken = w->woken;
    addr_count(w->addr, -1);
    addr_unlock();
    return woken;
}

void wait_addr_leave(struct wait_addr *w)
{
    if (wait_addr_leave_woken(w))
        wait_addr_wake(w->addr, 1); /* pass it on */
}

bool wait_addr_is_woken(struct wait_addr *w)
{
    bool woken;

    addr_lock();
    woken = w->woken;
    addr_unlock();
    return woken;
}

/* ---- parking ---- */

/* Leave the lot after a park. Returns the result of the wait. */
static int addr_end_park(struct wait_addr *w, int result)
{
    if ((result == 0 || result == -ETIMEDOUT) && wait_addr_is_woken(w)) {
        w->woken = false; /* used, so wait_addr_leave must not pass it on */
        result = 0;
    }
    wait_addr_leave(w);
    return result;
}

int wait_addr_park(struct wait_addr *w, int64_t deadline)
{
    int result = 0;

    if (!wait_addr_is_woken(w)) {
        bool told = reason_begin(FOR_LOCK, -1, w->addr);

        result = timer_park(deadline);
        reason_end(told);
    }
    return addr_end_park(w, result);
}

int wait_addr_park_cancellable(struct wait_addr *w, int64_t deadline)
{
    return addr_end_park(w, wait_addr_is_woken(w) ? 0 : wait_addr_sleep(w, deadline));
}

int wait_addr_sleep(struct wait_addr *w, int64_t deadline)
{
    bool told = reason_begin(FOR_LOCK, -1, w->addr);
    int result = cancel_park_lock(w, deadline);

    reason_end(told);
    return result;
}

/* ---- waking ---- */

/* Called with the lock held. Returns whether the loop must be told. */
static bool addr_wake_one(struct wait_addr *w)
{
    list_remove(&w->link);
    w->woken = true;
    if (wait_is_owner() && !wait_in_handler) {
        coro_wake(w->co, 0);
        return false;
    }
    list_push(&parking.woken, &w->link);
    return true;
}

/* Wake waiters of a bucket, with the lock held: up to *count of addr, or of any address if that is NULL. Returns
 * whether the loop must be told; *count is what is left of it. */
static bool addr_wake_locked(struct bucket *bucket, const void *addr, int *count, uint32_t bits)
{
    struct list *node, *after;
    bool tell = false;

    list_for_each_safe (node, after, &bucket->waiters) {
        struct wait_addr *w = list_entry(node, struct wait_addr, link);

        if (*count == 0)
            break;
        if ((addr && w->addr != addr) || !(w->bits & bits))
            continue;
        tell |= addr_wake_one(w);
        --*count;
    }
    return tell;
}

static void addr_tell(bool tell)
{
    if (tell)
        loop_notify(&parking.async);
}

static int addr_wake_everybody(void)
{
    int left = INT_MAX;
    bool tell = false;

    addr_lock();
    for (size_t i = 0; i < ARRAY_SIZE(parking.buckets); i++)
        tell |= addr_wake_locked(&parking.buckets[i], NULL, &left, WAIT_ADDR_ANY);
    addr_unlock();
    addr_tell(tell);
    return INT_MAX - left;
}

int wait_addr_wake_bits(const void *addr, int count, uint32_t bits)
{
    int left = count;
    bool tell;

    if (atomic_load(&wait_addr_waiters) == 0)
        return 0;
    if (holder.held)
        return addr_note_later(addr, count, bits);
    if (!addr)
        return addr_wake_everybody();
    if (atomic_load(&addr_bucket(addr)->entered) == 0)
        return 0;
    addr_lock();
    tell = addr_wake_locked(addr_bucket(addr), addr, &left, bits);
    addr_unlock();
    addr_tell(tell);
    return count - left;
}

int wait_addr_wake(const void *addr, int count)
{
    return wait_addr_wake_bits(addr, count, WAIT_ADDR_ANY);
}

/* Move waiters to another address, with the lock held. Returns how many, at most count. */
static int addr_move_locked(const void *from, const void *to, int count)
{
    struct list *node, *after;
    int moved = 0;

    list_for_each_safe (node, after, &addr_bucket(from)->waiters) {
        struct wait_addr *w = list_entry(node, struct wait_addr, link);

        if (w->addr != from || moved == count)
            continue;
        list_remove(node);
        addr_count(to, 1);
        addr_count(from, -1);
        w->addr = to;
        list_push(&addr_bucket(to)->waiters, node);
        moved++;
    }
    return moved;
}

int wait_addr_requeue(const void *from, int wake, const void *to, int move)
{
    int left = wake, moved;
    bool tell;

    if (atomic_load(&wait_addr_waiters) == 0)
        return 0;
    addr_lock();
    tell = addr_wake_locked(addr_bucket(from), from, &left, WAIT_ADDR_ANY);
    moved = from == to ? 0 : addr_move_locked(from, to, move);
    addr_unlock();
    addr_tell(tell);
    return wake - left + moved;
}
