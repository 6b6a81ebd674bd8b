/*
 * arena.c: bump allocation with defers.
 *
 * An arena is a pointer that moves through blocks of one size, so that allocating takes an addition and a comparison. A
 * large object is allocated by malloc, and a defer frees it. Blocks come from a pool that is last in, first out: the
 * next request works on memory that is still in the cache. Objects are not freed one by one: they live as long as the
 * request. Out of memory ends the process, so that no caller has error handling that was never tested.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ALIGN 16

struct arena_block {
    struct arena_block *next;
};

struct arena_defer {
    struct arena_defer *next;
    void (*fn)(void *arg);
    void *arg;
};

static struct {
    struct arena_block *first;
    size_t count;
    size_t low; /* the smallest count since the last trim: so many blocks were not needed */
} pool;

void *arena_block_get(void)
{
    struct arena_block *block = pool.first;

    if (!block)
        return xmalloc(ARENA_BLOCK);
    pool.first = block->next;
    if (--pool.count < pool.low)
        pool.low = pool.count;
    return block;
}

void arena_block_put(void *p)
{
    struct arena_block *block = p;

    block->next = pool.first;
    pool.first = block;
    pool.count++;
}

void arena_trim(void)
{
    for (size_t n = pool.low; n > 0; n--) {
        struct arena_block *block = pool.first;

        pool.first = block->next;
        pool.count--;
        free(block);
    }
    pool.low = pool.count;
}

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_init_with(struct arena *a, void *space, size_t size)
{
    size_t skip = -(uintptr_t)space & (ALIGN - 1);

    arena_init(a);
    if (size <= skip)
        return;
    a->at = (char *)space + skip;
    a->end = (char *)space + size;
}

void arena_release(struct arena *a)
{
    while (a->defers) {
        struct arena_defer *defer = a->defers;

        a->defers = defer->next; /* first: fn may add another one */
        defer->fn(defer->arg);
    }
    while (a->blocks) {
        struct arena_block *block = a->blocks;

        a->blocks = block->next;
        arena_block_put(block);
    }
    a->at = a->end = NULL;
}

static void *arena_alloc_large(struct arena *a, size_t size)
{
    void *p = xmalloc(size);

    arena_defer(a, free, p);
    return p;
}

static void *arena_alloc_in_new_block(struct arena *a, size_t size)
{
    struct arena_block *block;
    char *p;

    if (size > ARENA_BLOCK / 4)
        return arena_alloc_large(a, size);
    block = arena_block_get();
    block->next = a->blocks;
    a->blocks = block;
    p = (char *)block + ALIGN;
    a->at = p + size;
    a->end = (char *)block + ARENA_BLOCK;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    char *p = a->at;

    if (size > SIZE_MAX - ALIGN)
        mem_die(size);
    size = (size + !size + ALIGN - 1) & ~(size_t)(ALIGN - 1); /* no two objects share an address */
    if (size > (size_t)(a->end - a->at))
        return arena_alloc_in_new_block(a, size);
    a->at += size;
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t size)
{
    char *copy = arena_alloc(a, size + 1);

    memcpy(copy, s, size);
    copy[size] = '\0';
    return copy;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    char *s;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    assert(n >= 0); /* fails for a bad format string only */
    s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct arena_defer *defer = arena_alloc(a, sizeof(*defer));

    *defer = (struct arena_defer){a->defers, fn, arg};
    a->defers = defer;
}
