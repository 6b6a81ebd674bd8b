/*
 * library.c: loads libraries.so, and finds functions of the libraries that it is linked to.
 *
 * It is beside libsyncless.so. A handle of dlopen is searched with all that its object needs, so no code of its own is
 * needed to call them. RTLD_LOCAL keeps it out of the order in which the symbols of others are searched.
 *
 * A unit test is linked to libraries.so, which is there then by its name.
 */
#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/real.h"
#include "base/self.h"

#define LIBRARIES "libraries.so"

__attribute__((noreturn)) static void library_die(const char *why)
{
    fprintf(stderr, "%s: cannot load the libraries of the server: %s\n", program_invocation_short_name, why);
    _exit(EXIT_BOOT);
}

/* Load libraries.so. Returns its handle. */
static void *library_open(void)
{
    void *handle = real()->dlopen(LIBRARIES, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    const char *self = self_path();
    char path[PATH_MAX];

    if (handle)
        return handle;
    if (snprintf(path, sizeof(path), "%.*s/" LIBRARIES, (int)(strrchr(self, '/') - self), self) >= PATH_MAX)
        library_die(strerror(ENAMETOOLONG));
    handle = real()->dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        library_die(dlerror());
    return handle;
}

void library_fill(void **table, const char *const *names, size_t count)
{
    static void *handle;

    if (!handle)
        handle = library_open();
    for (size_t i = 0; i < count; i++) {
        table[i] = dlsym(handle, names[i]);
        if (!table[i])
            library_die(dlerror());
    }
}
