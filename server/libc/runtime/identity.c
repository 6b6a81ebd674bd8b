/*
 * identity.c: the thread that a coroutine is to a language runtime.
 *
 * pthread_self returns the address of the coroutine's record if the registered runtime (libc_runtime) calls it on a
 * coroutine. So the runtime's recursive locks and its table of threads tell coroutines apart. Only the runtime gets
 * such values; any other caller would expect a struct pthread at the address. The lowest bit is set, which it never is
 * in a pthread_t of libc, so that the few calls to which the runtime passes a thread recognise it. They apply to the
 * loop's OS thread then.
 *
 * The main coroutine has the identity of the OS thread. Another one has it for a moment after a wait that ended with
 * EINTR (wait_cancel), since runtimes look for the cause of an EINTR in the main thread only.
 */
#include "libc/runtime/identity.h"

#include "base/real.h"
#include "coro/coro.h"
#include "libc/runtime/caller.h"

#define COROUTINE_MARK 1

static pthread_t loop_thread;
static pid_t loop_tid;
static __thread struct coro *inherited; /* in a forked child: the coroutine that has forked */

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

/* Returns the OS thread behind an identity. */
static pthread_t os_thread_of(pthread_t thread)
{
    return thread & COROUTINE_MARK ? loop_thread : thread;
}

int pthread_kill(pthread_t thread, int signum)
{
    return real()->pthread_kill(os_thread_of(thread), signum);
}

int pthread_getcpuclockid(pthread_t thread, clockid_t *clock)
{
    return real()->pthread_getcpuclockid(os_thread_of(thread), clock);
}
