/*
 * blocks.c: __tls_get_addr: a copy of an object's thread-locals for each coroutine.
 *
 * Compilers reach the thread-locals of a shared object by a call of __tls_get_addr, with the object's module id and an
 * offset in its block. libc's looks in a table of the OS thread; ours, which is found first, in one of the coroutine. A
 * block is made when it is first needed, from the image in the object, as libc does. A signal handler may read the
 * table while it grows, so the old one is kept until the life ends: each is twice as large as the one before.
 *
 * A function may keep the address across a wait, for it goes on upon the same coroutine. Old compilers call with a
 * misaligned stack (gcc bug 58066), which does no harm to __tls_get_addr itself: it only jumps to other functions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/tls/objects.h"
#include "libc/tls/tls.h"

#define FIRST_COUNT 16 /* modules for which the first table has room */

#ifdef __x86_64__
#define REALIGN_STACK __attribute__((noinline, force_align_arg_pointer))
#else
#define REALIGN_STACK __attribute__((noinline))
#endif

struct tls_blocks {
    struct tls_blocks *older; /* the table before it grew; owned */
    size_t count;
    char *block[]; /* by module id; NULL: not made. Owned, see block_free */
};

static struct coro_tls *all; /* the records with blocks; under the lock */

/* ---- making ---- */

static char *block_new(const struct tls_object *object)
{
    char *block = NULL;

    if (object->align <= __alignof__(max_align_t) && object->skew == 0) {
        block = xcalloc(1, object->size);
    } else {
        if (posix_memalign((void **)&block, object->align, object->size + object->skew))
            mem_die(object->size);
        memset(block, 0, object->size + object->skew);
        block += object->skew;
    }
    memcpy(block, object->image, object->image_size);
    return block;
}

static void block_free(char *block, const struct tls_object *object)
{
    free(block - object->skew);
}

/* Returns a larger table if that of the coroutine has no room for a module; else NULL. */
static struct tls_blocks *blocks_new(const struct tls_blocks *blocks, size_t module)
{
    size_t count = blocks ? blocks->count : FIRST_COUNT;
    struct tls_blocks *grown;

    if (blocks && module < count)
        return NULL;
    while (count <= module)
        count *= 2;
    grown = xcalloc(1, sizeof(*grown) + count * sizeof(grown->block[0]));
    grown->count = count;
    return grown;
}

static void blocks_replace(struct coro_tls *tls, struct tls_blocks *grown)
{
    grown->older = tls->blocks;
    if (tls->blocks) {
        memcpy(grown->block, tls->blocks->block, tls->blocks->count * sizeof(grown->block[0]));
    } else {
        tls->next = all;
        tls->link = &all;
        if (all)
            all->link = &tls->next;
        all = tls;
    }
    tls->blocks = grown;
}

/* Put a block into the table. A signal handler may have come first in all of this. */
static void block_enter(struct coro_tls *tls, size_t module, const struct tls_object *object)
{
    struct tls_blocks *grown = blocks_new(tls->blocks, module);
    char *block = block_new(object);
    struct tls_guard guard = tls_lock();

    if (!tls->blocks || tls->blocks->count <= module) {
        blocks_replace(tls, grown);
        grown = NULL;
    }
    if (!tls->blocks->block[module]) {
        tls->blocks->block[module] = block;
        block = NULL;
    }
    tls_unlock(guard);
    free(grown);
    if (block)
        block_free(block, object);
}

/* ---- the call ---- */

#if defined(__x86_64__) || defined(__aarch64__) /* others add a constant to the offset */

/* The block is not in the table of the coroutine. */
static REALIGN_STACK void *block_first_use(struct tls_index *index)
{
    struct coro *co = coro_thread();
    const struct tls_object *object;
    int saved = errno;

    if (!co || co->tls.of_thread || index->module <= tls_own_modules)
        return real()->__tls_get_addr(index);
    object = objects_find(index->module);
    if (object->fixed)
        return real()->__tls_get_addr(index);
    block_enter(&co->tls, index->module, object);
    errno = saved;
    return co->tls.blocks->block[index->module] + index->offset;
}

void *__tls_get_addr(struct tls_index *index)
{
    const struct coro *co = coro_thread();
    size_t module = index->module;

    if (!co || module <= tls_own_modules)
        return real_calls.ready ? real_calls.__tls_get_addr(index) : block_first_use(index);
    if (co->tls.blocks && module < co->tls.blocks->count && co->tls.blocks->block[module])
        return co->tls.blocks->block[module] + index->offset;
    return block_first_use(index);
}

#endif

/* ---- giving back ---- */

void blocks_free(struct coro_tls *tls)
{
    struct tls_blocks *blocks = tls->blocks, *older;
    struct tls_guard guard;

    if (!blocks)
        return;
    guard = tls_lock();
    *tls->link = tls->next;
    if (tls->next)
        tls->next->link = tls->link;
    tls->blocks = NULL;
    for (size_t module = tls_own_modules + 1; module < blocks->count; module++)
        if (blocks->block[module])
            block_free(blocks->block[module], objects_find(module));
    tls_unlock(guard);
    for (; blocks; blocks = older) {
        older = blocks->older;
        free(blocks);
    }
}

void blocks_drop(size_t module, const struct tls_object *object)
{
    struct tls_guard guard = tls_lock();

    for (struct coro_tls *tls = all; tls; tls = tls->next) {
        if (module >= tls->blocks->count || !tls->blocks->block[module])
            continue;
        block_free(tls->blocks->block[module], object);
        tls->blocks->block[module] = NULL;
    }
    tls_unlock(guard);
}
