/*
 * thread_exit.c: pthread_exit on a coroutine, and the clean-up handlers of C.
 *
 * As in libc the stack is unwound: destructors of C++ objects run, and what pthread_cleanup_push has registered, the
 * innermost first. Then the coroutine's life as a thread ends (coro_quit): its caller never gets control back, so who
 * has put something on this stack that must not get lost has a release function for that (sl_local). The unwinder is
 * loaded when it is needed, as libc does.
 *
 * In C without exceptions a clean-up handler is a buffer of setjmp on the stack, in a list of the OS thread. All
 * coroutines share that, so each has a list of its own.
 *
 * A runtime that is finalizing ends its threads by pthread_exit wherever they wait. A coroutine of it stays parked for
 * good, as threads do since CPython 3.14: destructors would run code in a runtime that is gone. So does the main
 * coroutine, which is the process's main thread.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unwind.h>

#include "base/mem.h"
#include "base/real.h"
#include "coro/coro.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/park.h"
#include "libc/runtime/thread_exit.h"
#include "log/log.h"

static __typeof__(_Unwind_ForcedUnwind) *forced_unwind;
static __typeof__(_Unwind_GetCFA) *get_cfa;

/* ---- clean-up handlers ---- */

/* The buffer before this one; libc keeps the same there. */
static void **buffer_link(__pthread_unwind_buf_t *buf)
{
    return &buf->__pad[0];
}

void __pthread_register_cancel(__pthread_unwind_buf_t *buf)
{
    struct coro *co = coro_thread();

    if (!co) {
        real()->__pthread_register_cancel(buf);
        return;
    }
    *buffer_link(buf) = co->tls.cleanup;
    co->tls.cleanup = buf;
}

void __pthread_unregister_cancel(__pthread_unwind_buf_t *buf)
{
    struct coro *co = coro_thread();

    if (!co)
        real()->__pthread_unregister_cancel(buf);
    else
        co->tls.cleanup = *buffer_link(buf);
}

/* Coroutines are not cancelled by pthread_cancel, so there is no type of that to be kept. */
void __pthread_register_cancel_defer(__pthread_unwind_buf_t *buf)
{
    if (coro_thread())
        __pthread_register_cancel(buf);
    else
        real()->__pthread_register_cancel_defer(buf);
}

void __pthread_unregister_cancel_restore(__pthread_unwind_buf_t *buf)
{
    if (coro_thread())
        __pthread_unregister_cancel(buf);
    else
        real()->__pthread_unregister_cancel_restore(buf);
}

/* ---- unwinding ---- */

/* Code has caught the exception and not raised it again. */
static void exit_caught(_Unwind_Reason_Code reason, struct _Unwind_Exception *exception)
{
    log_die("a coroutine that called pthread_exit has caught the exception and not raised it again");
}

static void (*tell)(void *value); /* or NULL */

void thread_exit_tell(void (*fn)(void *value))
{
    tell = fn;
}

/* What is unwound with. */
struct thread_exit {
    struct _Unwind_Exception exception; /* first */
    void *value;                        /* of pthread_exit */
};

static void exit_at_end(struct _Unwind_Exception *exception)
{
    void *value = ((struct thread_exit *)exception)->value;

    free(exception);
    if (tell)
        tell(value);
    coro_quit();
    __builtin_unreachable();
}

/* The buffer has no room for a signal mask, as those that the compiler expects here have. */
static void (*volatile jump)(struct __jmp_buf_tag *buf, int value) = _longjmp;

/* Before each frame is left. One that has registered a clean-up handler goes on where it did. */
static _Unwind_Reason_Code exit_stop(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                     struct _Unwind_Exception *exception, struct _Unwind_Context *context, void *arg)
{
    __pthread_unwind_buf_t *buf = coro_self()->tls.cleanup;

    if (buf && (actions & _UA_END_OF_STACK || get_cfa(context) > (uintptr_t)buf)) {
        coro_self()->tls.cleanup = *buffer_link(buf);
        jump((struct __jmp_buf_tag *)(void *)buf->__cancel_jmp_buf, 1);
    }
    if (actions & _UA_END_OF_STACK)
        exit_at_end(exception);
    return _URC_NO_REASON;
}

static bool find_unwinder(void)
{
    void *library = forced_unwind ? NULL : real()->dlopen("libgcc_s.so.1", RTLD_NOW);

    if (library) {
        *(void **)&get_cfa = dlsym(library, "_Unwind_GetCFA");
        *(void **)&forced_unwind = dlsym(library, "_Unwind_ForcedUnwind");
    }
    return forced_unwind && get_cfa;
}

static void unwind(struct _Unwind_Exception *exception)
{
    forced_unwind(exception, exit_stop, NULL);
    exit_at_end(exception); /* the unwinder has found no way */
}

void __pthread_unwind_next(__pthread_unwind_buf_t *buf)
{
    if (!coro_self())
        real()->__pthread_unwind_next(buf);
    unwind(coro_self()->tls.unwinding);
    __builtin_unreachable();
}

/* ---- the call ---- */

void pthread_exit(void *value)
{
    struct coro *co = coro_self();
    struct _Unwind_Exception *exception;
    struct thread_exit *end;

    if (!co)
        real()->pthread_exit(value);
    while (caller_kind() == CALLER_RUNTIME || co->is_main || !park_possible())
        coro_park();
    /* On the heap: clean-up code overwrites the end of the stack. */
    end = xcalloc(1, sizeof(*end));
    end->value = value;
    exception = &end->exception;
    exception->exception_cleanup = exit_caught;
    co->tls.unwinding = exception;
    if (!find_unwinder())
        exit_at_end(exception);
    unwind(exception);
    __builtin_unreachable();
}
