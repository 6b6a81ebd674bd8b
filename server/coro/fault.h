/* fault.h: a last word about a crash. */
#ifndef CORO_FAULT_H
#define CORO_FAULT_H

/* Report SIGSEGV and SIGBUS on standard error, with what the coroutine worked on and whether its stack overflowed, then
 * die by the signal. For the calling OS thread, which gets a signal stack of its own. */
void fault_init(void);
void fault_exit(void);

#endif
