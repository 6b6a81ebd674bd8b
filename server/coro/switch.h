/* switch.h: change of stacks. One implementation an architecture: switch_*.S, or switch_ucontext.c. */
#ifndef CORO_SWITCH_H
#define CORO_SWITCH_H

#include <stddef.h>

/* Prepare the stack [low, top) such that the first switch to the returned pointer calls entry on it. entry never
 * returns. top is aligned to 16 bytes. */
void *switch_make(void *low, void *top, void (*entry)(void));

/* Save the callee-saved registers and the floating-point control words on this stack, its pointer in *save, and go on
 * where the pointer `to` was saved. */
void switch_to(void **save, void *to);

#endif
