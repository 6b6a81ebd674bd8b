/*
 * mem.c: malloc and the like, for callers that cannot go on without memory.
 *
 * The message goes to standard error, not to the log, which needs memory too and is built on this file.
 */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digits.h"
#include "base/real.h"

static void mem_say(const char *text, size_t size)
{
    ssize_t ignored = real()->write(STDERR_FILENO, text, size);

    (void)ignored; /* there is no other way to report it */
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

#if defined(__SANITIZE_ADDRESS__)
#define HAS_LSAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LSAN
#endif
#endif

#ifdef HAS_LSAN
#include <sanitizer/lsan_interface.h>

void mem_leave_to_thread(const void *p)
{
    __lsan_ignore_object(p);
}
#else
void mem_leave_to_thread(const void *p)
{
}
#endif
