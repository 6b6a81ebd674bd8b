/*
 * switch_ucontext.c: change of stacks on processors for which there is no assembly.
 *
 * swapcontext(3) makes a system call for the signal mask at each switch, which takes some hundred times as long as the
 * assembly, but it exists wherever glibc does. -DCORO_UCONTEXT selects it on every processor, for tests.
 */
#if defined(CORO_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))

#include "coro/switch.h"

#include <assert.h>
#include <ucontext.h>

void *switch_make(void *low, void *top, void (*entry)(void))
{
    ucontext_t *context = (ucontext_t *)top - 1;
    int err = getcontext(context);

    assert(err == 0); /* glibc's fails for a bad address only, as does swapcontext */
    (void)err;
    context->uc_stack.ss_sp = low;
    context->uc_stack.ss_size = (size_t)((char *)context - (char *)low);
    context->uc_link = NULL;
    makecontext(context, entry, 0);
    return context;
}

void switch_to(void **save, void *to)
{
    ucontext_t here;
    int err;

    *save = &here;
    err = swapcontext(&here, to);
    assert(err == 0);
    (void)err;
}

#endif
