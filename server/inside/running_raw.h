/* running_raw.h: the running requests, written down while the event loop is blocked. */
#ifndef INSIDE_RUNNING_RAW_H
#define INSIDE_RUNNING_RAW_H

#include <stddef.h>

struct coro;

/* Write lines "NUMBER AGE STATE KIND METHOD TARGET" about the requests that run, as many as fit, ended by NUL. AGE is
 * microseconds, KIND that of the present wait, or "-". In a signal handler on the loop's thread, below fault_try: what
 * it has interrupted may have changed half of something. running: the coroutine that it has interrupted. */
void running_write_raw(char *text, size_t size, const struct coro *running);

#endif
