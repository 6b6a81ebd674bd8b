/*
 * tls.c: the end of a coroutine's life as a thread, in the order in which libc ends one: destructors of C++, those of
 * keys, and then the memory.
 */
#include "libc/tls/tls.h"

#include <pthread.h>

#include "base/real.h"
#include "libc/tls/objects.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct tls_guard tls_lock(void)
{
    struct tls_guard guard;
    sigset_t all;

    sigfillset(&all);
    real()->pthread_sigmask(SIG_SETMASK, &all, &guard.mask);
    real()->pthread_mutex_lock(&lock);
    return guard;
}

void tls_unlock(struct tls_guard guard)
{
    real()->pthread_mutex_unlock(&lock);
    real()->pthread_sigmask(SIG_SETMASK, &guard.mask, NULL);
}

/* ---- fork: another thread may hold the lock ---- */

static struct tls_guard fork_guard;

static void tls_before_fork(void)
{
    fork_guard = tls_lock();
}

static void tls_after_fork(void)
{
    tls_unlock(fork_guard);
}

/* ---- the life of a thread ---- */

void tls_start(void)
{
    static bool started;

    if (started)
        return;
    started = true;
    real();
    objects_start();
    values_start();
    pthread_atfork(tls_before_fork, tls_after_fork, tls_after_fork);
}

static void (*last_of_all)(struct coro_tls *tls); /* or NULL */

void tls_on_end(void (*fn)(struct coro_tls *tls))
{
    last_of_all = fn;
}

static void tls_end(struct coro_tls *tls)
{
    destructors_run(tls);
    values_end(tls);
    destructors_run(tls); /* of thread-locals that the destructors of values have made */
    blocks_free(tls);
    if (last_of_all)
        last_of_all(tls);
}

void tls_init(void)
{
    tls_start();
    coro_on_end(tls_end);
}
