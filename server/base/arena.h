/* arena.h: bump allocation with defers. A request has an arena, which is released as a whole. For one OS thread. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena_defer;

struct arena {
    char *at, *end;             /* the free part of the newest block */
    struct arena_block *blocks; /* newest first */
    struct arena_defer *defers; /* newest first */
};

/* Takes no memory before the first arena_alloc. */
void arena_init(struct arena *a);

/* The same; objects are first allocated in size bytes of the caller's. */
void arena_init_with(struct arena *a, void *space, size_t size);

/* Run the defers, last added first, and return all blocks to the pool. To use the arena again, call arena_init. */
void arena_release(struct arena *a);

/* Returns size bytes, aligned for any type and not zeroed. Out of memory ends the process. */
void *arena_alloc(struct arena *a, size_t size);

/* Returns a NUL-terminated copy of size bytes. */
char *arena_strndup(struct arena *a, const char *s, size_t size);

char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

/* Call fn(arg) at arena_release. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);

/* Take a block of ARENA_BLOCK bytes from the pool that arenas use, and return it. Last in, first out. */
#define ARENA_BLOCK 16384 /* bytes */
void *arena_block_get(void);
void arena_block_put(void *block);

/* Free the blocks of the pool that were not needed lately. To be called about once a second. */
void arena_trim(void);

#endif
