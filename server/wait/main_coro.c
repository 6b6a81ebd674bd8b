/*
 * main_coro.c: signals and the main coroutine.
 *
 * When a signal handler has run, a thread's wait in the kernel fails with EINTR. So does a wait of the main coroutine
 * of syncless-python: the handler (libc/runtime/handler.c) leaves a note and wakes the loop, which is all that it can
 * do safely, and the loop ends the wait. If the coroutine is not waiting, the note stays until its next wait, so that
 * no signal is lost that comes between the program's last check and the park. That wait may then end although the
 * program has already handled the signal, which is nothing new to code that handles EINTR.
 */
#include "wait/wait.h"

#include <errno.h>

#include "wait/loop.h"

static struct {
    struct coro *_Atomic main; /* or NULL */
    atomic_int note;           /* -EINTR or -ERESTART; 0: none */
    atomic_bool can_wake;      /* async is there: not in a forked child without a loop */
    uv_async_t async;
} interrupt;

static void interrupt_wake_main(uv_async_t *async)
{
    int code = atomic_load(&interrupt.note);

    if (code && interrupt.main && interrupt.main->waiting && coro_wake(interrupt.main, code))
        atomic_compare_exchange_strong(&interrupt.note, &code, 0);
}

void interrupt_init(void)
{
    libuv.uv_async_init(loop_uv(), &interrupt.async, interrupt_wake_main);
    atomic_store(&interrupt.can_wake, true);
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
    else /* keep an -EINTR, which is the stronger one */
        atomic_compare_exchange_strong(&interrupt.note, &none, code);
    if (atomic_load(&interrupt.can_wake))
        loop_notify(&interrupt.async);
}

int wait_interrupt_take(void)
{
    return atomic_exchange(&interrupt.note, 0);
}

void interrupt_forget(void)
{
    atomic_store(&interrupt.can_wake, false);
    interrupt.main = NULL;
    atomic_store(&interrupt.note, 0);
}
