/*
 * home.c: calls that concern the OS thread: a coroutine that is away upon another one comes home for them.
 *
 * Signal masks are of the OS thread, that of the loop for all coroutines, and threads of the pool get no signals. A
 * forked child goes on with the thread that has called fork, and the runtime knows the loop's. libc's own forks (of
 * forkpty, daemon) and vfork are made where they are called: coro_forget and coro_come_home know of these children.
 */
#include <signal.h>
#include <unistd.h>

#include "base/real.h"
#include "coro/coro.h"

pid_t fork(void)
{
    coro_at_home();
    return real()->fork();
}

int sigprocmask(int how, const sigset_t *set, sigset_t *before)
{
    coro_at_home();
    return real()->sigprocmask(how, set, before);
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    coro_at_home();
    return real()->pthread_sigmask(how, set, before);
}
