/*
 * addr.c: a parking lot keyed by address, in the manner of a futex.
 *
 * Semaphores, mutexes and conditions stay libc's own objects, so that OS threads can use them too; only the waiting of
 * a coroutine is ours. Who waits enters the lot, looks at the object once more, and parks. Who changes the object looks
 * at wait_addr_waiters, and only if somebody is in the lot takes its lock. From another OS thread the woken are handed
 * to the loop by an async handle. The lock is a spin lock over a few instructions: a pthread mutex would come back
 * here.
 */
#include "wait/wait.h"

#include <errno.h>
#include <sched.h>

#include "wait/loop.h"

#define BUCKETS 256

atomic_int wait_addr_waiters;

static struct {
    atomic_flag lock;
    struct list buckets[BUCKETS];
    struct list woken; /* by other threads, not yet told */
    uv_async_t async;
    uv_thread_t owner;
} lot = {.lock = ATOMIC_FLAG_INIT};

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&lot.lock, memory_order_acquire))
        sched_yield();
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&lot.lock, memory_order_release);
}

static struct list *bucket_of(const void *addr)
{
    uintptr_t n = (uintptr_t)addr >> 3;

    return &lot.buckets[(n ^ n >> 8 ^ n >> 16) % BUCKETS];
}

static void tell_woken(uv_async_t *async)
{
    struct list *node;

    lock();
    while ((node = list_pop(&lot.woken)))
        coro_wake(list_entry(node, struct wait_addr, link)->co, 0);
    unlock();
}

void addr_init(void)
{
    for (int i = 0; i < BUCKETS; i++)
        list_init(&lot.buckets[i]);
    list_init(&lot.woken);
    uv_async_init(loop_uv(), &lot.async, tell_woken);
    lot.owner = uv_thread_self();
}

void wait_addr_enter(struct wait_addr *w, const void *addr)
{
    w->addr = addr;
    w->co = coro_self();
    w->woken = false;
    lock();
    list_push(bucket_of(addr), &w->link);
    unlock();
    atomic_fetch_add(&wait_addr_waiters, 1);
}

void wait_addr_leave(struct wait_addr *w)
{
    bool pass_on;

    lock();
    list_remove(&w->link);
    pass_on = w->woken;
    unlock();
    atomic_fetch_sub(&wait_addr_waiters, 1);
    if (pass_on)
        wait_addr_wake(w->addr, 1);
}

static bool is_woken(struct wait_addr *w)
{
    bool woken;

    lock();
    woken = w->woken;
    unlock();
    return woken;
}

/* Leave the lot after a park. */
static int end_park(struct wait_addr *w, int result)
{
    if ((result == 0 || result == -ETIMEDOUT) && is_woken(w)) {
        w->woken = false; /* taken, not to be passed on */
        result = 0;
    }
    wait_addr_leave(w);
    return result;
}

int wait_addr_park(struct wait_addr *w, int64_t deadline)
{
    return end_park(w, is_woken(w) ? 0 : timer_park(deadline));
}

int wait_addr_park_cancellable(struct wait_addr *w, int64_t deadline)
{
    return end_park(w, is_woken(w) ? 0 : cancel_park_lock(w->addr, deadline));
}

void wait_addr_wake(const void *addr, int count)
{
    bool own = lot.owner == uv_thread_self(), tell = false;
    struct list *bucket, *node, *next;

    if (atomic_load(&wait_addr_waiters) == 0)
        return;
    lock();
    bucket = bucket_of(addr);
    for (node = bucket->next; node != bucket && count > 0; node = next) {
        struct wait_addr *w = list_entry(node, struct wait_addr, link);

        next = node->next;
        if (w->addr != addr)
            continue;
        count--;
        list_remove(node);
        w->woken = true;
        if (own)
            coro_wake(w->co, 0);
        else
            list_push(&lot.woken, node);
        tell |= !own;
    }
    unlock();
    if (tell)
        uv_async_send(&lot.async);
}
