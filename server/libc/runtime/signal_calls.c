/*
 * signal_calls.c: the older ways to install a handler: signal and its kin, sigset, and siginterrupt.
 *
 * libc's own would give the kernel the handler of the application, past the tables of handler.c: it would run with
 * coro_current set, and might park. So they are made of sigaction here, with the flags that libc gives it. What
 * siginterrupt has said of a signal, signal heeds.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

sighandler_t bsd_signal(int signum, sighandler_t handler); /* which signal.h no longer declares */

static atomic_bool interrupts[NSIG]; /* set by siginterrupt: the handler ends calls that wait */

static sighandler_t signal_install(int signum, sighandler_t handler, int flags)
{
    struct sigaction new = {.sa_handler = handler, .sa_flags = flags}, old;

    if (handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    sigemptyset(&new.sa_mask);
    return sigaction(signum, &new, &old) < 0 ? SIG_ERR : old.sa_handler;
}

sighandler_t signal(int signum, sighandler_t handler)
{
    bool known = signum > 0 && signum < NSIG;

    return signal_install(signum, handler, known && interrupts[signum] ? 0 : SA_RESTART);
}

sighandler_t bsd_signal(int signum, sighandler_t handler)
{
    return signal(signum, handler);
}

sighandler_t ssignal(int signum, sighandler_t handler)
{
    return signal(signum, handler);
}

/* signal() in programs that are compiled for System V or X/Open only. */
sighandler_t __sysv_signal(int signum, sighandler_t handler)
{
    return signal_install(signum, handler, SA_RESETHAND | SA_NODEFER | SA_INTERRUPT);
}

sighandler_t sysv_signal(int signum, sighandler_t handler)
{
    return __sysv_signal(signum, handler);
}

int siginterrupt(int signum, int interrupt)
{
    struct sigaction action;

    if (sigaction(signum, NULL, &action) < 0)
        return -1;
    interrupts[signum] = interrupt;
    action.sa_flags = interrupt ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
    return sigaction(signum, &action, NULL);
}

/* Install a handler and unblock the signal, or with SIG_HOLD block it. Returns the handler before, SIG_HOLD if the
 * signal was blocked. */
sighandler_t sigset(int signum, sighandler_t handler)
{
    sighandler_t before;
    struct sigaction old;
    sigset_t set, blocked;

    sigemptyset(&set);
    if (sigaddset(&set, signum) < 0)
        return SIG_ERR;
    if (handler != SIG_HOLD) {
        before = signal_install(signum, handler, 0);
    } else {
        before = sigaction(signum, NULL, &old) < 0 ? SIG_ERR : old.sa_handler;
    }
    if (before == SIG_ERR || sigprocmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &blocked) < 0)
        return SIG_ERR;
    return sigismember(&blocked, signum) ? SIG_HOLD : before;
}
