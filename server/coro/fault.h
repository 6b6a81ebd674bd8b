/* fault.h: report a crash before the process dies. */
#ifndef CORO_FAULT_H
#define CORO_FAULT_H

#include <stdbool.h>

/* On SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT write to standard error what the coroutine was working on and whether
 * its stack overflowed, then call the handler that somebody else has set, and let the signal kill the process. For the
 * calling OS thread, which gets a signal stack. To be called again after others may have set handlers. */
void fault_init(void);

/* Have a crash call fn before it is reported, or after that: it returns a static text for the log, or NULL. fn is
 * async-signal-safe. */
void fault_call_first(void (*fn)(void));
void fault_call_last(const char *(*fn)(void));

/* In a signal handler on the loop's thread: call fn(arg), which reads memory that may be inconsistent. Returns false if
 * that ended in a fault. */
bool fault_try(void (*fn)(void *arg), void *arg);

#endif
