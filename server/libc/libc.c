/*
 * libc.c: connects the interposed calls to the process.
 *
 * A forked child has a copy of the coroutine that forked, and no loop that could resume it. So from its first call on
 * all calls are libc's there, or in syncless-python those until it has a loop of its own (wait_revive). libuv is
 * registered as a caller of its own kind because parking is built on it: if one of its locks parked, the park would
 * call libuv again in the middle of what it is doing.
 */
#include "libc/libc.h"

#include <pthread.h>
#include <sys/single_threaded.h>

#include "base/own.h"
#include "base/real.h"
#include "libc/outbound/outbound.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/handler.h"
#include "libc/runtime/identity.h"
#include "libc/runtime/park.h"
#include "libc/tls/objects.h"
#include "libc/tls/tls.h"
#include "log/log.h"

#define OBJECTS_EVERY 1000 /* milliseconds between two looks at what was loaded */

static void libc_forget_parent(void)
{
    identity_inherit();
    wait_forget();
    park_forget();
    outbound_forget();
}

static void *end_at_once(void *arg)
{
    return NULL;
}

/* Or libstdc++ would take two coroutines in an initialiser for a recursion. With its first thread libc installs the
 * handler by which setuid, setgroups and the like reach all threads, so there must have been one. */
static void become_multithreaded(void)
{
    pthread_t thread;

    if (__libc_single_threaded && pthread_create(&thread, NULL, end_at_once, NULL) == 0)
        real()->pthread_join(thread, NULL);
    __libc_single_threaded = 0;
}

void libc_init(enum resolver resolver)
{
    tls_init();
    own_init(libc_forget_parent);
    become_multithreaded();
    park_init();
    identity_init();
    handler_init();
    resolver_init(resolver);
    caller_register(wait_uv_address(), CALLER_LOOP);
    if (log_enabled(LOG_LEVEL_DEBUG))
        wait_every(OBJECTS_EVERY, objects_loaded);
}

int libc_runtime(const void *address)
{
    return caller_register(address, CALLER_RUNTIME);
}
