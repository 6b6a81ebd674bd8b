/*
 * identity.c: the thread that a coroutine is to a language runtime.
 *
 * pthread_self returns the address of the coroutine's record if the registered runtime (libc_runtime) calls it on a
 * coroutine. So the runtime's recursive locks and its table of threads tell coroutines apart. Only the runtime gets
 * such values; any other caller would expect a struct pthread at the address. The lowest bit is set, which it never is
 * in a pthread_t of libc, so that the calls to which a runtime passes a thread recognise it. Those that need an OS
 * thread (signals, clocks, scheduling) apply to the loop's. The name of a thread is the coroutine's own, and so is the
 * stack, by which CPython since 3.14 limits recursion. A coroutine may look only at its own: one that is stored may be
 * of a coroutine whose memory is gone.
 *
 * The main coroutine has the identity of the OS thread. Another one has it for a moment after a wait that ended with
 * EINTR (wait_cancel), since runtimes look for the cause of an EINTR in the main thread only. The stack is that of the
 * coroutine all the same, whoever asks.
 *
 * In a forked child the coroutine that has forked is the main thread, and keeps the identity that it had: the runtime
 * has noted it, as the owner of locks for one.
 */
#include "libc/runtime/identity.h"

#include <errno.h>
#include <string.h>

#include "base/real.h"
#include "coro/coro.h"
#include "coro/stack.h"
#include "libc/runtime/caller.h"

#define COROUTINE_MARK 1
#define LIVES_SHIFT    48 /* no address is that large */

static pthread_t loop_thread;
static pid_t loop_tid;
static __thread struct coro *inherited; /* in a forked child: the coroutine that has forked */
static struct coro *child_main;         /* the same, if it was not the main one, whose identity would be another */

void identity_init(void)
{
    loop_thread = real()->pthread_self();
    loop_tid = gettid();
}

pid_t identity_tid(void)
{
    return loop_tid;
}

pid_t identity_tid_here(void)
{
    return coro_current ? loop_tid : gettid();
}

/* Returns the coroutine of which this is the stack, or NULL. */
static struct coro *coroutine_here(void)
{
    return coro_here() ? coro_here() : inherited;
}

void identity_inherit(void)
{
    inherited = coroutine_here(); /* a child may fork again */
    if (inherited && !inherited->is_main)
        child_main = inherited;
    identity_init();
}

pthread_t identity_of(const struct coro *co)
{
    return (pthread_t)co | (pthread_t)co->lives << LIVES_SHIFT | COROUTINE_MARK;
}

pthread_t pthread_self(void)
{
    struct coro *co = coroutine_here();

    if (co && (co->is_main || co->as_main))
        co = child_main;
    if (co && caller_kind() == CALLER_RUNTIME)
        return identity_of(co);
    return real()->pthread_self();
}

pthread_t identity_renew(struct coro *co)
{
    co->lives++;
    return identity_of(co);
}

bool identity_is_coroutine(pthread_t thread)
{
    return thread & COROUTINE_MARK;
}

bool identity_is_own(pthread_t thread)
{
    return coroutine_here() && thread == identity_of(coroutine_here());
}

/* ---- calls that need an OS thread ---- */

pthread_t identity_os_thread(pthread_t thread)
{
    return identity_is_coroutine(thread) ? loop_thread : thread;
}

int pthread_getcpuclockid(pthread_t thread, clockid_t *clock)
{
    return real()->pthread_getcpuclockid(identity_os_thread(thread), clock);
}

int pthread_getschedparam(pthread_t thread, int *policy, struct sched_param *param)
{
    return real()->pthread_getschedparam(identity_os_thread(thread), policy, param);
}

int pthread_setschedparam(pthread_t thread, int policy, const struct sched_param *param)
{
    return real()->pthread_setschedparam(identity_os_thread(thread), policy, param);
}

int pthread_setschedprio(pthread_t thread, int priority)
{
    return real()->pthread_setschedprio(identity_os_thread(thread), priority);
}

int pthread_getaffinity_np(pthread_t thread, size_t size, cpu_set_t *cpus)
{
    return real()->pthread_getaffinity_np(identity_os_thread(thread), size, cpus);
}

int pthread_setaffinity_np(pthread_t thread, size_t size, const cpu_set_t *cpus)
{
    return real()->pthread_setaffinity_np(identity_os_thread(thread), size, cpus);
}

/* ---- the coroutine's own stack and name ---- */

/* As libc reports them: the guard is part of the stack. */
static int stack_attributes(const struct coro *co, pthread_attr_t *attr)
{
    size_t guard = stack_guard_size();
    int error = pthread_attr_init(attr);

    if (error == 0)
        error = pthread_attr_setguardsize(attr, guard);
    if (error == 0)
        error = pthread_attr_setstack(attr, co->stack - guard, co->stack_size + guard);
    return error;
}

int pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
    const struct coro *co = coroutine_here();

    if (co && (identity_is_own(thread) || thread == real()->pthread_self()))
        return stack_attributes(co, attr);
    return identity_is_coroutine(thread) ? ESRCH : real()->pthread_getattr_np(thread, attr);
}

int pthread_setname_np(pthread_t thread, const char *name)
{
    if (!identity_is_coroutine(thread))
        return real()->pthread_setname_np(thread, name);
    if (!identity_is_own(thread))
        return ESRCH;
    if (strlen(name) >= sizeof(coroutine_here()->name))
        return ERANGE;
    strcpy(coroutine_here()->name, name);
    return 0;
}

/* Like a new thread, a coroutine has the name of the thread that made it until it gets another. */
int pthread_getname_np(pthread_t thread, char *name, size_t size)
{
    const struct coro *co = coroutine_here();

    if (!identity_is_coroutine(thread))
        return real()->pthread_getname_np(thread, name, size);
    if (!identity_is_own(thread))
        return ESRCH;
    if (!*co->name)
        return real()->pthread_getname_np(loop_thread, name, size);
    if (size < sizeof(co->name)) /* libc wants room for the longest name */
        return ERANGE;
    strcpy(name, co->name);
    return 0;
}
