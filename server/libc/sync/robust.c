/*
 * robust.c: robust mutexes that a coroutine holds when its life as a thread ends: the next owner gets EOWNERDEAD.
 *
 * When a thread ends, the kernel walks through libc's list of the robust mutexes that it holds. All coroutines share
 * the list of their OS thread, which does not end. So we note who holds which, and do for a coroutine what the kernel
 * does, futex(2): the owner in the lock word is replaced by a mark, and one waiter is woken. The mutex is also taken
 * out of libc's list; the links are in the mutex, and part of libc's ABI as its size is.
 *
 * With priority inheritance the kernel has waiters of its own, whom only FUTEX_UNLOCK_PI reaches; the mark gets lost.
 */
#include "libc/sync/robust.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/real.h"
#include "coro/coro.h"
#include "libc/sync/mutex.h"
#include "libc/sync/parking.h"
#include "libc/tls/tls.h"

/* A mutex that is held. */
struct robust_hold {
    struct list link;
    pthread_mutex_t *mutex;
    struct coro *co;
};

static struct list holds = LIST_INIT(holds); /* of coroutines; only the loop's thread uses it */

static void robust_forget(struct robust_hold *hold)
{
    list_remove(&hold->link);
    hold->co->tls.robust--;
    free(hold);
}

void robust_unlocked(const pthread_mutex_t *mutex)
{
    struct list *node;

    list_for_each (node, &holds) {
        struct robust_hold *hold = list_entry(node, struct robust_hold, link);

        if (hold->mutex != mutex)
            continue;
        robust_forget(hold);
        return;
    }
}

/* ---- the end of a coroutine ---- */

/* libc marks links to mutexes with priority inheritance by the lowest bit. */
static __pthread_list_t *unmarked(__pthread_list_t *link)
{
    return (__pthread_list_t *)((uintptr_t)link & ~(uintptr_t)1);
}

static void leave_list_of_libc(pthread_mutex_t *mutex)
{
    __pthread_list_t *here = &mutex->__data.__list;

    if (!here->__prev)
        return;
    unmarked(here->__next)->__prev = here->__prev;
    unmarked(here->__prev)->__next = here->__next;
    here->__prev = here->__next = NULL;
}

/* Returns what the kernel makes of the lock word. With waiters of its own it must still find the owner there. */
static uint32_t word_of_dead(uint32_t word, bool inherits)
{
    uint32_t waiters = word & FUTEX_WAITERS;

    return FUTEX_OWNER_DIED | waiters | (inherits && waiters ? word & FUTEX_TID_MASK : 0);
}

static void robust_die(pthread_mutex_t *mutex)
{
    uint32_t *word = (uint32_t *)&mutex->__data.__lock, old = __atomic_load_n(word, __ATOMIC_RELAXED);
    bool inherits = mutex->__data.__kind & MUTEX_INHERITS;

    leave_list_of_libc(mutex);
    while (!__atomic_compare_exchange_n(word, &old, word_of_dead(old, inherits), false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
        ;
    if (old & FUTEX_WAITERS)
        real()->syscall(SYS_futex, word, inherits ? FUTEX_UNLOCK_PI : FUTEX_WAKE, 1, NULL, NULL, 0);
    parking_wake(mutex, 1);
}

/* The last one that it has locked first. */
static void robust_end(struct coro_tls *tls)
{
    struct list *node, *next;

    for (node = holds.next; tls->robust > 0 && node != &holds; node = next) {
        struct robust_hold *hold = list_entry(node, struct robust_hold, link);
        pthread_mutex_t *mutex = hold->mutex;

        next = node->next;
        if (&hold->co->tls != tls)
            continue;
        robust_forget(hold);
        robust_die(mutex);
    }
}

/* libc too forgets them in a forked child, where the parent still holds them. */
static void robust_in_child(void)
{
    while (!list_empty(&holds))
        robust_forget(list_entry(holds.next, struct robust_hold, link));
}

void robust_locked(pthread_mutex_t *mutex)
{
    static bool started;
    struct robust_hold *hold = xmalloc(sizeof(*hold));

    *hold = (struct robust_hold){.mutex = mutex, .co = coro_self()};
    list_push(holds.next, &hold->link); /* before the first */
    hold->co->tls.robust++;
    if (started)
        return;
    started = true;
    tls_on_end(robust_end);
    pthread_atfork(NULL, NULL, robust_in_child);
}
