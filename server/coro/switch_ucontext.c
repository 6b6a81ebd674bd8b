/*
 * switch_ucontext.c: change of stacks where no assembly was written for the processor.
 *
 * swapcontext(3) makes a system call for the signal mask at each switch, which costs some hundred times what the
 * assembly does, but it exists wherever glibc does. -DCORO_UCONTEXT takes it on every processor, for tests.
 */
#if defined(CORO_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))

#include "coro/switch.h"

#include <ucontext.h>

#include "log/log.h"

void *switch_make(void *low, void *top, void (*entry)(void))
{
    ucontext_t *context = (ucontext_t *)top - 1;

    if (getcontext(context) < 0)
        log_die("getcontext: %m");
    context->uc_stack.ss_sp = low;
    context->uc_stack.ss_size = (size_t)((char *)context - (char *)low);
    context->uc_link = NULL;
    makecontext(context, entry, 0);
    return context;
}

void switch_to(void **save, void *to)
{
    ucontext_t here;

    *save = &here;
    if (swapcontext(&here, to) < 0)
        log_die("swapcontext: %m");
}

#endif
