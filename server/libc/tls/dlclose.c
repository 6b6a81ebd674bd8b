/*
 * dlclose.c: dlopen and dlclose. Constructors and destructors of libraries run in them, with the linker's lock held by
 * the OS thread, so while they wait for time or a descriptor no other coroutine runs (wait/block.c). For locks they
 * park: another coroutine may hold them.
 *
 * libc tells by the return address who calls dlopen, and looks for names without a slash, and for $ORIGIN, by that. So
 * it is jumped to for these, and only a path is opened from here.
 *
 * When an object is unloaded, so are the coroutines' copies of its thread-locals. libc closes objects of its own too
 * (gconv), which have none.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#include "base/real.h"
#include "coro/coro.h"
#include "libc/tls/redirect.h"
#include "libc/tls/objects.h"
#include "libc/tls/tls.h"

#ifdef __clang__
#define TAIL_CALLS /* it jumps from -O1 on */
#else
#define TAIL_CALLS __attribute__((optimize("optimize-sibling-calls")))
#endif

static __attribute__((noinline)) void *dlopen_path(const char *path, int mode)
{
    struct coro *co = coro_self();
    bool before = co && co->linking;
    void *handle;

    if (co)
        co->linking = true;
    handle = real()->dlopen(path, mode);
    if (co)
        co->linking = before;
    redirect_loaded();
    return handle;
}

TAIL_CALLS void *dlopen(const char *path, int mode)
{
    coro_at_home(); /* constructors run under the loader's lock, which is the OS thread's */
    if (path && strchr(path, '/') && !strchr(path, '$'))
        return dlopen_path(path, mode);
    return real()->dlopen(path, mode);
}

int dlclose(void *handle)
{
    struct coro *co = coro_self(); /* comes home: destructors run under the loader's lock too */
    bool before = co && co->linking;
    int result;

    destructors_let_go();
    if (co)
        co->linking = true;
    result = real()->dlclose(handle);
    if (co)
        co->linking = before;
    objects_closed();
    return result;
}
