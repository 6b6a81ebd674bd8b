/*
 * fault.c: report a crash before the process dies.
 *
 * The handler runs on a signal stack, since the cause may be a stack overflow: then the address is in the guard pages
 * of the running coroutine. It calls only async-signal-safe functions, and then lets the signal kill the process, so
 * that the kernel dumps a core and the master sees the signal.
 */
#include "coro/fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/digits.h"
#include "base/mem.h"
#include "base/own.h"
#include "base/real.h"
#include "coro/coro.h"
#include "coro/sanitize.h"
#include "coro/stack.h"

#define SIGNAL_STACK (64 * 1024) /* bytes */

/* The handlers of others, to be called after ours, as faulthandler's, which writes the stack of Python. */
static struct {
    int signum;
    const char *what;
    struct sigaction next; /* sa_handler is SIG_DFL if there is none */
} faults[] = {
    {.signum = SIGSEGV, .what = "segmentation fault"},
    {.signum = SIGBUS, .what = "bus error"},
    {.signum = SIGFPE, .what = "arithmetic error"},
    {.signum = SIGILL, .what = "illegal instruction"},
    {.signum = SIGABRT, .what = "aborted"},
};

static void *signal_stack; /* for the life of the process */
static sigjmp_buf rescue;  /* where a fault continues while guarded is set */
static __thread volatile sig_atomic_t guarded __attribute__((tls_model("initial-exec"))); /* on this OS thread */
static void (*call_first)(void); /* NULL: nothing; so is the next */
static const char *(*call_last)(void);

static void fault_say(const char *text)
{
    ssize_t ignored = real()->write(STDERR_FILENO, text, strlen(text));

    (void)ignored; /* there is no other way to report it */
}

static void fault_say_number(uint64_t n)
{
    char digits[DIGITS_MAX + 1];

    digits[DIGITS_MAX] = '\0';
    fault_say(digits_decimal(digits + DIGITS_MAX, n));
}

static bool is_in_guard(const struct coro *co, const char *address)
{
    return address < co->stack && address >= co->stack - stack_guard_size();
}

static void call_next(int signum, siginfo_t *info, void *context)
{
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        const struct sigaction *next = &faults[i].next;

        if (faults[i].signum != signum || next->sa_handler == SIG_DFL || next->sa_handler == SIG_IGN)
            continue;
        if (next->sa_flags & SA_SIGINFO)
            next->sa_sigaction(signum, info, context);
        else
            next->sa_handler(signum);
    }
}

static const char *fault_what(int signum)
{
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        if (faults[i].signum == signum)
            return faults[i].what;
    return "crash";
}

static void fault_begin_line(void)
{
    fault_say("[error] ");
    fault_say_number((uint64_t)getpid());
    fault_say(": ");
}

static void say_last(void)
{
    const char *text = call_last ? call_last() : NULL;

    if (!text)
        return;
    fault_begin_line();
    fault_say(text);
    fault_say("\n");
}

static void on_fault(int signum, siginfo_t *info, void *context)
{
    bool has_address = signum == SIGSEGV || signum == SIGBUS;
    const struct coro *co = coro_here();

    if (guarded)
        siglongjmp(rescue, 1);
    coro_forget();
    if (call_first)
        call_first();
    fault_begin_line();
    if (co && has_address && is_in_guard(co, info->si_addr)) {
        fault_say("stack overflow: a request needs more than stack-size = ");
        fault_say_number(co->stack_size);
        fault_say(" bytes");
    } else {
        fault_say(fault_what(signum));
    }
    if (co && co->what) {
        fault_say(" in ");
        fault_say(co->what);
    }
    fault_say("\n");
    say_last();
    call_next(signum, info, context);
    real()->sigaction(signum, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(signum);
}

void fault_call_first(void (*fn)(void))
{
    call_first = fn;
}

void fault_call_last(const char *(*fn)(void))
{
    call_last = fn;
}

bool fault_try(void (*fn)(void *arg), void *arg)
{
    bool good = sigsetjmp(rescue, 1) == 0;

    if (good) {
        guarded = 1;
        fn(arg);
    }
    guarded = 0;
    return good;
}

void fault_init(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    bool is_sanitizers = sanitize_handles_faults() && !signal_stack; /* the handler that is there now */

    if (!signal_stack) /* a worker may be forked by a process that has one */
        signal_stack = xmalloc(SIGNAL_STACK);
    sigaltstack(&(stack_t){.ss_sp = signal_stack, .ss_size = SIGNAL_STACK}, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        struct sigaction before;

        real()->sigaction(faults[i].signum, NULL, &before);
        if (before.sa_sigaction != on_fault && !is_sanitizers)
            faults[i].next = before;
        own_signal(faults[i].signum, &action);
    }
}
