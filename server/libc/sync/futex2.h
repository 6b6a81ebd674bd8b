/* futex2.h: the calls that have followed futex(2). */
#ifndef LIBC_FUTEX2_H
#define LIBC_FUTEX2_H

#include <stdbool.h>

/* Whether the system call of this number is one of them. */
bool futex2_has(long number);

/* As syscall(number, ...), for one of them. Any thread. */
long futex2_call(long number, long a, long b, long c, long d, long e, long f);

#endif
