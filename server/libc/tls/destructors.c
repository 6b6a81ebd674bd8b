/*
 * destructors.c: the destructors of C++ thread-locals, and of those of Rust.
 *
 * A compiler registers each by __cxa_thread_atexit of the C++ runtime, or by __cxa_thread_atexit_impl of libc, which
 * the former calls. Registered on a coroutine they run when its life as a thread ends. As in libc, the object with the
 * code stays loaded until they have run: it is opened once more, and closed again by the next dlclose after that.
 *
 * exit runs those of the thread that calls it.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/tls/tls.h"

/* An object that is kept. */
struct keep {
    struct keep *next;
    const void *symbol; /* by which the object names itself */
    void *handle;       /* NULL: it is never unloaded */
    size_t count;       /* destructors that are still to run */
};

struct tls_destructor {
    struct tls_destructor *next;
    void (*fn)(void *object);
    void *object;
    struct keep *keep;
};

static struct keep *keeps; /* under the lock */

/* ---- keeping objects ---- */

/* Returns a handle of the object that has a symbol, NULL if it has none: the program itself. */
static void *open_again(void *symbol)
{
    struct link_map *map;
    Dl_info info;

    if (!dladdr1(symbol, &info, (void **)&map, RTLD_DL_LINKMAP) || !*map->l_name)
        return NULL;
    return real()->dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
}

/* Count one more destructor in an object that is already kept. Returns its record, or NULL. */
static struct keep *keep_again(const void *symbol)
{
    struct tls_guard guard = tls_lock();
    struct keep *keep = keeps;

    while (keep && keep->symbol != symbol)
        keep = keep->next;
    if (keep)
        keep->count++;
    tls_unlock(guard);
    return keep;
}

static struct keep *keep_object(void *symbol)
{
    struct keep *keep = keep_again(symbol);
    struct tls_guard guard;

    if (keep)
        return keep;
    keep = xmalloc(sizeof(*keep));
    *keep = (struct keep){.symbol = symbol, .handle = open_again(symbol), .count = 1};
    guard = tls_lock();
    keep->next = keeps;
    keeps = keep;
    tls_unlock(guard);
    return keep;
}

static void keep_release(struct keep *keep)
{
    struct tls_guard guard = tls_lock();

    keep->count--;
    tls_unlock(guard);
}

/* Take a record that is not needed out of the list, and return it, or NULL. */
static struct keep *keep_take_unused(void)
{
    struct tls_guard guard = tls_lock();
    struct keep **place = &keeps, *unused;

    while (*place && (*place)->count > 0)
        place = &(*place)->next;
    unused = *place;
    if (unused)
        *place = unused->next;
    tls_unlock(guard);
    return unused;
}

void destructors_let_go(void)
{
    struct keep *keep;

    while ((keep = keep_take_unused())) {
        if (keep->handle)
            real()->dlclose(keep->handle);
        free(keep);
    }
}

/* ---- the calls ---- */

int __cxa_thread_atexit_impl(void (*fn)(void *object), void *object, void *symbol)
{
    struct coro *co = coro_thread();
    struct tls_destructor *destructor;

    if (!co || co->tls.of_thread)
        return real()->__cxa_thread_atexit_impl(fn, object, symbol);
    destructor = xmalloc(sizeof(*destructor));
    *destructor = (struct tls_destructor){co->tls.destructors, fn, object, keep_object(symbol)};
    co->tls.destructors = destructor;
    return 0;
}

int __cxa_thread_atexit(void (*fn)(void *object), void *object, void *symbol)
{
    return __cxa_thread_atexit_impl(fn, object, symbol);
}

bool destructors_run(struct coro_tls *tls)
{
    bool any = tls->destructors != NULL;

    while (tls->destructors) {
        struct tls_destructor *destructor = tls->destructors;

        tls->destructors = destructor->next;
        destructor->fn(destructor->object);
        keep_release(destructor->keep);
        free(destructor);
    }
    return any;
}

void exit(int status)
{
    struct coro *co = coro_thread();

    if (co)
        destructors_run(&co->tls);
    real()->exit(status);
    __builtin_unreachable();
}
