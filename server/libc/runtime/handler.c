/*
 * handler.c: sigaction, of which the other calls that install a handler are made (signal_calls.c).
 *
 * The kernel gets a function of ours, which calls the handler of the application. While the handler runs coro_current
 * is NULL, so that a write() in it does not park: it may run on a signal stack, or have interrupted the scheduler. For
 * the same reason a sem_post() in it leaves it to the loop to wake a coroutine (wait_in_handler). Its thread-locals are
 * those of the coroutine that it has interrupted (coro_detached), as in a thread.
 * After the handler the wait of the main coroutine ends: with EINTR, or if SA_RESTART is set with ERESTART, after which
 * the same calls go on as in the kernel. A handler that calls siglongjmp instead of returning is not supported.
 *
 * sigaction reports the handler of the application, not ours. The tables here are shared with children of
 * vfork, but these only set signals to SIG_IGN and SIG_DFL, which change no table.
 */
#include "libc/runtime/handler.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/real.h"
#include "coro/coro.h"
#include "wait/wait.h"

typedef void (*plain_handler)(int signum);
typedef void (*info_handler)(int signum, siginfo_t *info, void *context);

static bool wraps_handlers;
static plain_handler _Atomic plain_handlers[NSIG]; /* of the application, as are the next two */
static info_handler _Atomic info_handlers[NSIG];
static atomic_bool restarts[NSIG]; /* SA_RESTART */

void handler_init(void)
{
    wraps_handlers = true;
}

/* What a handler has interrupted. */
struct interrupted {
    struct coro_interrupted coro;
    bool in_handler;
};

static struct interrupted handler_enter(void)
{
    struct interrupted before = {coro_interrupt(), wait_in_handler};

    wait_in_handler = true;
    return before;
}

static void handler_leave(const struct interrupted *before, int signum)
{
    int saved = errno;

    wait_interrupt(restarts[signum] ? -ERESTART : -EINTR);
    coro_continue(before->coro);
    wait_in_handler = before->in_handler;
    errno = saved;
}

static void run_plain_handler(int signum)
{
    struct interrupted before = handler_enter();

    plain_handlers[signum](signum);
    handler_leave(&before, signum);
}

static void run_info_handler(int signum, siginfo_t *info, void *context)
{
    struct interrupted before = handler_enter();

    info_handlers[signum](signum, info, context);
    handler_leave(&before, signum);
}

/* Handlers of these are not wrapped: they report a crash, and need the state in which it happened. */
static bool signal_is_fault(int signum)
{
    return signum == SIGSEGV || signum == SIGBUS || signum == SIGFPE || signum == SIGILL || signum == SIGTRAP;
}

/* Returns what the kernel gets in place of new. */
static struct sigaction handler_wrap(int signum, const struct sigaction *new)
{
    struct sigaction wrapped = *new;

    if (new->sa_handler == SIG_DFL || new->sa_handler == SIG_IGN)
        return wrapped;
    restarts[signum] = (new->sa_flags &SA_RESTART) != 0;
    if (new->sa_flags & SA_SIGINFO) {
        info_handlers[signum] = new->sa_sigaction;
        wrapped.sa_sigaction = run_info_handler;
    } else {
        plain_handlers[signum] = new->sa_handler;
        wrapped.sa_handler = run_plain_handler;
    }
    return wrapped;
}

int sigaction(int signum, const struct sigaction *new, struct sigaction *old)
{
    struct sigaction wrapped;
    plain_handler plain;
    info_handler info;
    int result;

    if (!wraps_handlers || signum < 1 || signum >= NSIG || signal_is_fault(signum))
        return real()->sigaction(signum, new, old);
    plain = plain_handlers[signum];
    info = info_handlers[signum];
    if (new)
        wrapped = handler_wrap(signum, new);
    result = real()->sigaction(signum, new ? &wrapped : NULL, old);
    if (result == 0 && old && old->sa_handler == run_plain_handler)
        old->sa_handler = plain;
    else if (result == 0 && old && old->sa_sigaction == run_info_handler)
        old->sa_sigaction = info;
    return result;
}
