/* arena.h: bump allocation with defers. One arena serves one request, and is given back as a whole. For one OS thread.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena_defer;

struct arena {
    char *at, *end;             /* free bytes of the newest block */
    struct arena_block *blocks; /* newest first */
    struct arena_defer *defers; /* newest first */
};

/* No memory is taken before the first arena_alloc. */
void arena_init(struct arena *a);

/* The same with size bytes of the caller's to use up first. */
void arena_init_with(struct arena *a, void *space, size_t size);

/* Run the defers, last added first, and give all blocks back. Whoever uses the arena again calls arena_init first. */
void arena_release(struct arena *a);

/* size bytes aligned for any type, not zeroed. Never NULL: out of memory ends the process. */
void *arena_alloc(struct arena *a, size_t size);

/* A NUL-terminated copy of size bytes. */
char *arena_strndup(struct arena *a, const char *s, size_t size);

char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

/* Call fn(arg) at arena_release. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);

/* Blocks of ARENA_BLOCK bytes from the pool that arenas draw on, for buffers of that size. Last in, first out. */
#define ARENA_BLOCK 16384
void *arena_block_get(void);
void arena_block_put(void *block);

/* Give the system back what the pool has not needed lately. Called about once a second. */
void arena_trim(void);

#endif
