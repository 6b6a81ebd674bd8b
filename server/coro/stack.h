/* stack.h: the memory coroutines run on. */
#ifndef CORO_STACK_H
#define CORO_STACK_H

#include <stddef.h>

struct stack {
    char *low; /* lowest usable byte; guard pages lie below */
    size_t size;
};

/* Reserve a stack of size bytes, a multiple of the page size. Returns 0 or -ENOMEM (then *s is not set). */
int stack_reserve(struct stack *s, size_t size);
void stack_release(struct stack *s);

/* Give back to the system all pages but the topmost keep bytes; they read as zeroes when touched again. */
void stack_trim(const struct stack *s, size_t keep);

size_t stack_page_size(void);

/* Bytes below every stack that nothing can touch without a fault. */
size_t stack_guard_size(void);

#endif
