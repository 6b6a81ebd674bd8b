/* fault.h: a last word about a crash. */
#ifndef CORO_FAULT_H
#define CORO_FAULT_H

#include <stdbool.h>

/* Report SIGSEGV and SIGBUS on standard error, with what the coroutine worked on and whether its stack overflowed, then
 * die by the signal. For the calling OS thread, which gets a signal stack of its own. */
void fault_init(void);
void fault_exit(void);

/* In a signal handler on the loop's thread: call fn(arg), which looks at what may be broken. False if it faulted. */
bool fault_try(void (*fn)(void *arg), void *arg);

#endif
