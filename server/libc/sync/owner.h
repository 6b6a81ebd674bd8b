/* owner.h: a coroutine as the owner of a lock of libc. */
#ifndef LIBC_OWNER_H
#define LIBC_OWNER_H

#include <stdbool.h>

#include "coro/coro.h"

#define NO_THREAD_ID 0x40000000 /* thread ids of Linux are below 2^22 */

/* Returns a number that stands for the coroutine whose code this is, and that no thread has as its id. */
static inline int owner_of_coroutine(void)
{
    return NO_THREAD_ID | (int)(coro_here()->id & (NO_THREAD_ID - 1));
}

static inline bool owner_is_coroutine(int owner)
{
    return (owner & NO_THREAD_ID) != 0;
}

#endif
