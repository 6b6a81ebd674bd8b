/* parked_stack.h: the stack of a coroutine of this process that does not run, as its language runtime tells it. */
#ifndef INSIDE_PARKED_STACK_H
#define INSIDE_PARKED_STACK_H

#include "base/text.h"
#include "coro/coro.h"

/* Add the lines of the stack, most recent call first, each behind what begins it. Adds nothing if there is none. On the
 * loop's thread. co: not the running one; NULL: none. */
void parked_stack_write(const struct coro *co, struct text *out, const char *begin);

#endif
