/*
 * handler.c: sigaction and signal.
 *
 * The kernel is given a function of ours, which calls the application's handler. Before, it steps off the coroutine
 * that the signal has interrupted: a handler's write() must not park, since it may stand on a signal stack, or in the
 * middle of the scheduler. After, it tells the main coroutine, whose wait then ends with EINTR. As in the kernel,
 * SA_RESTART lets some calls go on. Handlers that leave by siglongjmp are not provided for.
 *
 * Whoever asks which handler is installed gets the application's. A child made by vfork, which runs in our memory, sets
 * signals to be ignored or to their defaults only; these are not noted here.
 */
#include "libc/runtime/handler.h"

#include <errno.h>
#include <stdatomic.h>

#include "coro/coro.h"
#include "base/real.h"
#include "wait/wait.h"

typedef void (*plain_handler)(int signum);
typedef void (*info_handler)(int signum, siginfo_t *info, void *context);

static bool started;
static plain_handler _Atomic plain_handlers[NSIG];
static info_handler _Atomic info_handlers[NSIG];
static atomic_bool restarts[NSIG];

void handler_init(void)
{
    started = true;
}

static struct coro *step_off(void)
{
    struct coro *co = coro_current;

    coro_current = NULL;
    return co;
}

static void step_on(struct coro *co, int signum)
{
    int saved = errno;

    coro_current = co;
    wait_interrupt(restarts[signum] ? -ERESTART : -EINTR);
    errno = saved;
}

static void on_plain(int signum)
{
    struct coro *co = step_off();

    plain_handlers[signum](signum);
    step_on(co, signum);
}

static void on_info(int signum, siginfo_t *info, void *context)
{
    struct coro *co = step_off();

    info_handlers[signum](signum, info, context);
    step_on(co, signum);
}

/* Not to be meddled with: a crash is told of where it happened. */
static bool is_fault(int signum)
{
    return signum == SIGSEGV || signum == SIGBUS || signum == SIGFPE || signum == SIGILL || signum == SIGTRAP;
}

/* What the kernel is to be given in place of new. */
static struct sigaction wrap(int signum, const struct sigaction *new)
{
    struct sigaction wrapped = *new;

    if (new->sa_handler == SIG_DFL || new->sa_handler == SIG_IGN)
        return wrapped;
    restarts[signum] = new->sa_flags &SA_RESTART;
    if (new->sa_flags & SA_SIGINFO) {
        info_handlers[signum] = new->sa_sigaction;
        wrapped.sa_sigaction = on_info;
    } else {
        plain_handlers[signum] = new->sa_handler;
        wrapped.sa_handler = on_plain;
    }
    return wrapped;
}

int sigaction(int signum, const struct sigaction *new, struct sigaction *old)
{
    struct sigaction wrapped;
    plain_handler plain;
    info_handler info;
    int result;

    if (!started || signum < 1 || signum >= NSIG || is_fault(signum))
        return real()->sigaction(signum, new, old);
    plain = plain_handlers[signum];
    info = info_handlers[signum];
    if (new)
        wrapped = wrap(signum, new);
    result = real()->sigaction(signum, new ? &wrapped : NULL, old);
    if (result == 0 && old && old->sa_handler == on_plain)
        old->sa_handler = plain;
    else if (result == 0 && old && old->sa_sigaction == on_info)
        old->sa_sigaction = info;
    return result;
}

sighandler_t signal(int signum, sighandler_t handler)
{
    struct sigaction new = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;

    sigemptyset(&new.sa_mask);
    return sigaction(signum, &new, &old) < 0 ? SIG_ERR : old.sa_handler;
}
