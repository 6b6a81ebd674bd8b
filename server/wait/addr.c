/*
 * addr.c: a parking lot: coroutines that wait for an address, as in a futex.
 *
 * Semaphores, mutexes and conditions stay libc's own objects, so that OS threads can use them too; only the waiting of
 * coroutines is ours. A waiter enters the lot, looks at the object once more, and parks. Code that changes the object
 * reads wait_addr_waiters, and locks the lot only if that is not 0. Another OS thread than the loop's hands the waiters
 * that it wakes to the loop by an async handle. The lock is a spin lock, since it is held for a few instructions.
 */
#include "wait/wait.h"

#include <errno.h>
#include <sched.h>

#include "base/array.h"
#include "wait/loop.h"

#define BUCKETS 256

atomic_int wait_addr_waiters;

static struct {
    atomic_flag lock;
    struct list buckets[BUCKETS]; /* of waiters, by a hash of the address */
    struct list woken;            /* by other threads; their coroutines do not know yet */
    uv_async_t async;
} parking = {.lock = ATOMIC_FLAG_INIT};

static void addr_lock(void)
{
    while (atomic_flag_test_and_set_explicit(&parking.lock, memory_order_acquire))
        sched_yield();
}

static void addr_unlock(void)
{
    atomic_flag_clear_explicit(&parking.lock, memory_order_release);
}

static struct list *addr_bucket(const void *addr)
{
    uintptr_t n = (uintptr_t)addr >> 3;

    return &parking.buckets[(n ^ n >> 8 ^ n >> 16) % BUCKETS];
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
    for (size_t i = 0; i < ARRAY_SIZE(parking.buckets); i++)
        list_init(&parking.buckets[i]);
    list_init(&parking.woken);
    libuv.uv_async_init(loop_uv(), &parking.async, addr_wake_coroutines);
}

void wait_addr_enter(struct wait_addr *w, const void *addr)
{
    w->addr = addr;
    w->co = coro_self();
    w->woken = false;
    addr_lock();
    list_push(addr_bucket(addr), &w->link);
    addr_unlock();
    atomic_fetch_add(&wait_addr_waiters, 1);
}

void wait_addr_leave(struct wait_addr *w)
{
    bool pass_on;

    addr_lock();
    list_remove(&w->link);
    pass_on = w->woken;
    addr_unlock();
    atomic_fetch_sub(&wait_addr_waiters, 1);
    if (pass_on)
        wait_addr_wake(w->addr, 1);
}

static bool addr_is_woken(struct wait_addr *w)
{
    bool woken;

    addr_lock();
    woken = w->woken;
    addr_unlock();
    return woken;
}

/* Leave the lot after a park. Returns the result of the wait. */
static int addr_end_park(struct wait_addr *w, int result)
{
    if ((result == 0 || result == -ETIMEDOUT) && addr_is_woken(w)) {
        w->woken = false; /* used, so wait_addr_leave must not pass it on */
        result = 0;
    }
    wait_addr_leave(w);
    return result;
}

int wait_addr_park(struct wait_addr *w, int64_t deadline)
{
    return addr_end_park(w, addr_is_woken(w) ? 0 : timer_park(deadline));
}

int wait_addr_park_cancellable(struct wait_addr *w, int64_t deadline)
{
    return addr_end_park(w, addr_is_woken(w) ? 0 : cancel_park_lock(w->addr, deadline));
}

/* Wake up to count waiters, with the lock held. Returns whether the loop must be told. */
static bool addr_wake_locked(const void *addr, int count)
{
    struct list *bucket = addr_bucket(addr), *node, *after;
    bool is_owner = wait_is_owner(), tell = false;

    list_for_each_safe (node, after, bucket) {
        struct wait_addr *w = list_entry(node, struct wait_addr, link);

        if (w->addr != addr)
            continue;
        if (count-- <= 0)
            break;
        list_remove(node);
        w->woken = true;
        if (is_owner)
            coro_wake(w->co, 0);
        else
            list_push(&parking.woken, node);
        tell = !is_owner;
    }
    return tell;
}

void wait_addr_wake(const void *addr, int count)
{
    bool tell;

    if (atomic_load(&wait_addr_waiters) == 0)
        return;
    addr_lock();
    tell = addr_wake_locked(addr, count);
    addr_unlock();
    if (tell)
        libuv.uv_async_send(&parking.async);
}
