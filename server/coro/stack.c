/*
 * stack.c: the memory coroutines run on.
 *
 * Stacks are large, but take memory only where they are used: MAP_NORESERVE keeps them out of the commit charge, and
 * only pages that were written count. Huge pages are refused, since the first write to each stack would cost 2 MiB.
 * Guard and stack are two mappings to the kernel, so vm.max_map_count (65530 by default) limits the number of stacks.
 * A part of them is left to others: without one malloc fails, and with it the process.
 * The guard is several pages wide, which costs nothing but addresses: a function with a large frame could step over a
 * single page into the stack below.
 */
#include "coro/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/array.h"
#include "base/real.h"

#define GUARD_PAGES      16
#define DEFAULT_MAPPINGS 65530 /* of Linux */
#define SPARE_MAPPINGS   4096  /* for malloc, libraries and the application; or a quarter, if that is less */

size_t stack_page_size(void)
{
    static size_t size;

    if (!size)
        size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

size_t stack_guard_size(void)
{
    return GUARD_PAGES * stack_page_size();
}

/* Returns vm.max_map_count. */
static size_t read_max_mappings(void)
{
    char text[32];
    int fd = real()->open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : real()->read(fd, text, sizeof(text) - 1);
    unsigned long mappings;

    if (fd >= 0)
        real()->close(fd);
    text[n > 0 ? n : 0] = '\0';
    mappings = strtoul(text, NULL, 10);
    return mappings ? mappings : DEFAULT_MAPPINGS;
}

size_t stack_max(void)
{
    static size_t max;

    if (!max) {
        size_t mappings = read_max_mappings();

        max = (mappings - min_size(SPARE_MAPPINGS, mappings / 4)) / 2;
    }
    return max;
}

int stack_reserve(struct stack *s, size_t size)
{
    size_t guard = stack_guard_size();
    char *low = mmap(NULL, size + guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (low == MAP_FAILED)
        return -ENOMEM;
    if (mprotect(low + guard, size, PROT_READ | PROT_WRITE) < 0) {
        munmap(low, size + guard);
        return -ENOMEM;
    }
    madvise(low + guard, size, MADV_NOHUGEPAGE); /* fails only if the kernel has no huge pages */
    s->low = low + guard;
    s->size = size;
    return 0;
}

void stack_release(struct stack *s)
{
    munmap(s->low - stack_guard_size(), s->size + stack_guard_size());
}

void stack_trim(const struct stack *s, size_t keep)
{
    if (s->size > keep)
        madvise(s->low, s->size - keep, MADV_DONTNEED);
}
