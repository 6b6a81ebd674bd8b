/*
 * mem.c: malloc and its relations for callers that cannot go on without memory.
 *
 * The log is not used: it needs memory too, and everything above stands on this file. The message goes to standard
 * error by the system call itself, since write(2) of this process may park a coroutine.
 */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/digits.h"

static void mem_say(const char *text, size_t size)
{
    if (syscall(SYS_write, STDERR_FILENO, text, size) < 0)
        return; /* there is no other way to tell anybody */
}

void mem_die(size_t size)
{
    char digits[DIGITS_MAX], *first = digits_decimal(digits + sizeof(digits), size);

    mem_say("[error] out of memory: cannot allocate ", 39);
    mem_say(first, (size_t)(digits + sizeof(digits) - first));
    mem_say(" bytes\n", 7);
    abort();
}

static void *mem_check(void *p, size_t size)
{
    if (!p && size)
        mem_die(size);
    return p;
}

void *xmalloc(size_t size)
{
    return mem_check(malloc(size), size);
}

void *xcalloc(size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        mem_die(SIZE_MAX);
    return mem_check(calloc(count, size), total);
}

void *xrealloc(void *p, size_t size)
{
    return mem_check(realloc(p, size), size);
}

char *xstrdup(const char *s)
{
    return mem_check(strdup(s), strlen(s) + 1);
}
