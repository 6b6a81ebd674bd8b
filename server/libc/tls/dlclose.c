/*
 * dlclose.c: closes a shared object. Its destructors run in this as constructors do in dlopen.
 *
 * When an object is unloaded, so are the coroutines' copies of its thread-locals. libc closes objects of its own too
 * (gconv), which have none.
 */
#include <dlfcn.h>
#include <stdbool.h>

#include "base/real.h"
#include "coro/coro.h"
#include "libc/tls/objects.h"
#include "libc/tls/tls.h"

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
