/*
 * libc.c: what joins the interposed calls to the process they are in.
 *
 * A child made by fork has a copy of the coroutine that forked and of nothing that could resume it: there all calls are
 * libc's again, from the first one on. libuv is told apart from other libraries because the parking of coroutines
 * stands on it: a lock of its own that parked would come back to it in the middle of what it is doing.
 */
#include "libc/libc.h"

#include <dlfcn.h>
#include <pthread.h>

#include "libc/names/dns.h"
#include "libc/runtime/handler.h"
#include "libc/runtime/identity.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/park.h"

static void forget(void)
{
    identity_inherit();
    wait_forget();
}

void libc_init(enum libc_resolver resolver)
{
    static bool registered;

    if (!registered)
        pthread_atfork(NULL, NULL, forget);
    registered = true;
    park_init();
    identity_init();
    handler_init();
    resolver_init(resolver);
    caller_register(dlsym(RTLD_DEFAULT, "uv_loop_init"), CALLER_LOOP);
}

int libc_runtime(const void *address)
{
    return caller_register(address, CALLER_RUNTIME);
}
