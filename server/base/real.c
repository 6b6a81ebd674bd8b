/*
 * real.c: find libc's own functions, once.
 *
 * The executable's definitions come first in the symbol order, so RTLD_NEXT gives what everybody would have called
 * without us. Under AddressSanitizer that is the sanitizer's interceptor, which checks the buffers and goes on to libc.
 *
 * The table is filled by whoever comes first: libraries call us from their constructors, and AddressSanitizer even
 * before any constructor runs. There is only one thread that early. dlsym itself makes no call that would come back
 * here as long as it finds what it is asked for, and all of these names are in every glibc from 2.35.
 */
#include "base/real.h"

#include <dlfcn.h>
#include <string.h>

struct real_calls real_calls;

/* Conditions have had a second layout since glibc 2.3.2. Before 2.36 a plain look-up from the executable could give the
 * functions for the first one (glibc bug 14932). Newer architectures never had the first, nor the version. */
static void *find(const char *name)
{
    void *function = NULL;

    if (strncmp(name, "pthread_cond_", 13) == 0)
        function = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return function ? function : dlsym(RTLD_NEXT, name);
}

/* Not instrumented: it may run before AddressSanitizer is ready. */
__attribute__((no_sanitize("address", "undefined"))) void real_resolve(void)
{
#define X(name) real_calls.name = (__typeof__(real_calls.name))find(#name);
    REAL_CALLS(X)
#undef X
    real_calls.ready = true;
}
