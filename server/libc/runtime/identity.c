/*
 * identity.c: what a runtime takes for a thread.
 *
 * pthread_self, called from a runtime (see libc_runtime) on a coroutine, gives the address of the coroutine's record,
 * so that its recursive locks and its table of threads tell coroutines apart. The lowest bit is set, which no pthread_t
 * of libc has; by that the few calls to which a runtime hands such a value know it, and take the loop's OS thread
 * instead. The main coroutine is the OS thread itself, and one whose wait ended with EINTR has its identity (wait_cancel). Only
 * code that is told so sees these values: everybody else would look for a struct pthread behind them.
 */
#include "libc/runtime/identity.h"

#include "coro/coro.h"
#include "libc/runtime/caller.h"
#include "base/real.h"

#define COROUTINE_MARK 1

static pthread_t loop_thread;
static __thread struct coro *inherited; /* in a forked child: the coroutine that it is a copy of */
static pid_t loop_tid;

void identity_init(void)
{
    loop_thread = real()->pthread_self();
    loop_tid = gettid();
}

pid_t identity_tid(void)
{
    return loop_tid;
}

void identity_inherit(void)
{
    inherited = coro_self();
}

pthread_t pthread_self(void)
{
    struct coro *co = coro_self() ? coro_self() : inherited;

    if (co && !co->is_main && !co->as_main && caller_kind() == CALLER_RUNTIME)
        return (pthread_t)co | COROUTINE_MARK;
    return real()->pthread_self();
}

static pthread_t os_thread(pthread_t thread)
{
    return thread & COROUTINE_MARK ? loop_thread : thread;
}

int pthread_kill(pthread_t thread, int signum)
{
    return real()->pthread_kill(os_thread(thread), signum);
}

int pthread_getcpuclockid(pthread_t thread, clockid_t *clock)
{
    return real()->pthread_getcpuclockid(os_thread(thread), clock);
}
