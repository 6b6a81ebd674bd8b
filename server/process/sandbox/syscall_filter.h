/* syscall_filter.h: forbid system calls that applications do not need, by seccomp of Linux. */
#ifndef PROCESS_SYSCALL_FILTER_H
#define PROCESS_SYSCALL_FILTER_H

#include <stdbool.h>

/* Whether the kernel has it, for this machine. */
bool syscall_filter_is_there(void);

/* From now on this process, and what it starts, gets EPERM for them. exec: it may start programs. Returns 0 or -errno.
 */
int syscall_filter_enforce(bool exec);

#endif
