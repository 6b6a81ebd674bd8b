/* switch.h: change of stacks. Each architecture has its implementation: switch_*.S, or switch_ucontext.c. */
#ifndef CORO_SWITCH_H
#define CORO_SWITCH_H

#include <stddef.h>

/* Prepare the stack [low, top) so that the first switch to the returned pointer calls entry on it. entry must not
 * return. top is aligned to 16 bytes. */
void *switch_make(void *low, void *top, void (*entry)(void));

/* Save the callee-saved registers and the floating-point control words on this stack and its pointer in *save, and
 * continue where the pointer `to` was saved. */
void switch_to(void **save, void *to);

#endif
