/* dlclose.c: when an object is unloaded, so are the coroutines' copies of its thread-locals. libc closes objects of its
 * own too (gconv), which have none. */
#include <dlfcn.h>

#include "base/real.h"
#include "libc/tls/objects.h"
#include "libc/tls/tls.h"

int dlclose(void *handle)
{
    int result;

    destructors_let_go();
    result = real()->dlclose(handle);
    objects_closed();
    return result;
}
