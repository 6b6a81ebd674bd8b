/* stack.h: the memory coroutines run on. */
#ifndef CORO_STACK_H
#define CORO_STACK_H

#include <stddef.h>

struct stack {
    char *low; /* lowest usable byte; the guard pages are below it */
    size_t size;
};

/* Reserve a stack of size bytes, a multiple of the page size. Returns 0 or -ENOMEM (then *s is not set). */
int stack_reserve(struct stack *s, size_t size);
void stack_release(struct stack *s);

/* The number of stacks that a process may have, so that the kernel has mappings left for everything else. */
size_t stack_max(void);

/* Return all pages but the topmost keep bytes to the system; they read as zeros when touched again. */
void stack_trim(const struct stack *s, size_t keep);

size_t stack_page_size(void);

/* Size of the guard below every stack, in bytes. */
size_t stack_guard_size(void);

#endif
