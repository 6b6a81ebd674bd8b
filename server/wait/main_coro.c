/*
 * main_coro.c: signals and the main coroutine.
 *
 * A thread that waits in the kernel comes back with EINTR when a signal handler has run. The main coroutine of
 * syncless-python does too: the handler (libc/handler.c) leaves a note and wakes the loop, the only things that it
 * safely can, and the loop ends the coroutine's wait. If the coroutine is not waiting, the note stays until its next
 * wait, so that no signal is lost which comes between the program's last look and the park. That one wait may then end
 * although the program has dealt with the signal by itself; to code that knows EINTR this makes no difference.
 */
#include "wait/wait.h"

#include <errno.h>

#include "wait/loop.h"

static struct {
    struct coro *_Atomic main;
    atomic_int note; /* -EINTR or -ERESTART; 0: none */
    uv_async_t async;
} interrupt;

static void tell_main(uv_async_t *async)
{
    int code = atomic_load(&interrupt.note);

    if (code && interrupt.main && interrupt.main->waiting && coro_wake(interrupt.main, code))
        atomic_compare_exchange_strong(&interrupt.note, &code, 0);
}

void interrupt_init(void)
{
    uv_async_init(loop_uv(), &interrupt.async, tell_main);
}

void wait_set_main(struct coro *co)
{
    if (interrupt.main)
        interrupt.main->is_main = false;
    interrupt.main = co;
    if (co)
        co->is_main = true;
}

void wait_interrupt(int code)
{
    int none = 0;

    if (!interrupt.main)
        return;
    if (code == -EINTR)
        atomic_store(&interrupt.note, code);
    else /* which may be noted already, and is the stronger one */
        atomic_compare_exchange_strong(&interrupt.note, &none, code);
    uv_async_send(&interrupt.async);
}

int wait_interrupt_take(void)
{
    return atomic_exchange(&interrupt.note, 0);
}

void interrupt_forget(void)
{
    interrupt.main = NULL;
    atomic_store(&interrupt.note, 0);
}
