/*
 * errno_here.h: errno in functions that begin upon one OS thread and end upon another.
 *
 * libc declares the function that finds errno such that compilers call it once and keep the address. A coroutine may
 * come home in the middle of any call here (coro_self), so these files, which the Makefile has include this first, use
 * the same function by another declaration.
 */
#ifndef LIBC_ERRNO_HERE_H
#define LIBC_ERRNO_HERE_H

#include <errno.h>

int *errno_here(void) __asm__("__errno_location") __attribute__((nothrow));

#undef errno
#define errno (*errno_here())

#endif
