/* syscall.h: the calls by libc's function syscall that are made here, in place of the kernel's. */
#ifndef LIBC_SYSCALL_H
#define LIBC_SYSCALL_H

#include <stdbool.h>

/* On a coroutine: make the call if it is one that waits with arguments of the kernel's own. Returns false if it is not,
 * or if its arguments are for the kernel to refuse. */
bool syscall_kernel_form(long number, long a, long b, long c, long d, long e, long f, long *result);

/* The same for io_uring_enter, io_getevents and io_pgetevents. */
bool syscall_completions(long number, long a, long b, long c, long d, long e, long f, long *result);

#endif
