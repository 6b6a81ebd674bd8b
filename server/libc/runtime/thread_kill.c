/*
 * thread_kill.c: pthread_kill and pthread_sigqueue to a coroutine.
 *
 * The OS thread gets the signal, and runs its handler. In a thread, a wait in the kernel then fails with EINTR, or goes
 * on if SA_RESTART is set; so does the wait of the coroutine, if it is in one that fails. Runtimes rely on it: it is
 * how they make a thread look at what others have left for it.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/real.h"
#include "coro/coro.h"
#include "libc/runtime/identity.h"
#include "wait/wait.h"

struct interruption {
    pthread_t thread;
    int code; /* -EINTR or -ERESTART */
};

/* On the loop's thread. */
static void interrupt_coroutine(const struct interruption *interruption)
{
    struct list *node;

    list_for_each (node, coro_all()) {
        struct coro *co = list_entry(node, struct coro, all);

        if (identity_of(co) != interruption->thread)
            continue;
        if (co->waiting)
            coro_wake(co, interruption->code);
        return;
    }
}

static void interrupt_posted(void *arg)
{
    interrupt_coroutine(arg);
    free(arg);
}

/* Returns whether the signal has a handler. */
static bool find_code(int signum, int *code)
{
    struct sigaction now;

    if (signum == 0 || real()->sigaction(signum, NULL, &now) < 0)
        return false;
    *code = now.sa_flags & SA_RESTART ? -ERESTART : -EINTR;
    return now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN;
}

/* A signal was sent to a thread. A signal handler that sends one wakes nobody: it may have interrupted the scheduler.
 */
static void sent_to(pthread_t thread, int signum)
{
    struct interruption now = {.thread = thread}, *later;

    if (!identity_is_coroutine(thread) || wait_in_handler || !find_code(signum, &now.code))
        return;
    if (wait_is_owner()) {
        interrupt_coroutine(&now);
        return;
    }
    later = xcalloc(1, sizeof(*later));
    *later = now;
    wait_post(interrupt_posted, later);
}

int pthread_kill(pthread_t thread, int signum)
{
    int result = real()->pthread_kill(identity_os_thread(thread), signum);

    if (result == 0)
        sent_to(thread, signum);
    return result;
}

int pthread_sigqueue(pthread_t thread, int signum, const union sigval value)
{
    int result = real()->pthread_sigqueue(identity_os_thread(thread), signum, value);

    if (result == 0)
        sent_to(thread, signum);
    return result;
}
