/*
 * real.c: find libc's own functions, once.
 *
 * The executable comes first in the order in which symbols are searched, so RTLD_NEXT gives what everybody would have
 * called without us. Under AddressSanitizer that is the sanitizer's interceptor, which checks the buffers and calls
 * libc.
 *
 * The first caller fills the table: libraries call us from their constructors, and AddressSanitizer even before any
 * constructor has run. There is only one thread that early. dlsym itself makes no call that would come back here as
 * long as it finds the name, and every glibc since 2.35 has all of them. But it frees the text of an earlier dlerror,
 * which a program may be about to print; so the table is filled before any code of ours runs.
 */
#include "base/real.h"

#include <dlfcn.h>
#include <string.h>

struct real_calls real_calls;

/* glibc 2.3.2 gave conditions a second layout. Before 2.36 a plain look-up from the executable could return the
 * functions for the first one (glibc bug 14932). Newer architectures have only one layout, and no such version. */
static void *real_find(const char *name)
{
    void *function = NULL;

    if (!strncmp(name, "pthread_cond_", 13))
        function = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return function ? function : dlsym(RTLD_NEXT, name);
}

/* Not instrumented: it may run before AddressSanitizer is ready. */
__attribute__((no_sanitize("address", "undefined"))) void real_resolve(void)
{
#define X(name) real_calls.name = (__typeof__(real_calls.name))real_find(#name);
    REAL_CALLS(X)
#undef X
    real_calls.ready = true;
}

__attribute__((constructor(101), no_sanitize("address", "undefined"))) static void real_resolve_early(void)
{
    real();
}
