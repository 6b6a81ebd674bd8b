/*
 * loader.c: opens the shared object of a module and reads its table, struct sl_module.
 *
 * The first member of the table says with which syncless.h the module was compiled, and how large the table was there
 * (SL_ABI). Members are only ever added at its end, so an older module of the same major version has a beginning of our
 * table: it is copied into one of our own size, in which the rest is zero. A newer one may count on what this server
 * does not have, also outside of the table, and is refused.
 */
#include "mount/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct abi {
    unsigned major, minor;
    size_t size; /* bytes of the table */
};

/* Up to version 3 the number was the version and nothing else. */
static struct abi abi_of(unsigned abi)
{
    if (abi < 1 << 16)
        return (struct abi){.major = abi};
    return (struct abi){abi >> 24, abi >> 16 & 0xff, abi & 0xffff};
}

int loader_copy(struct sl_module *table, const struct sl_module *module, char why[LOADER_WHY_SIZE])
{
    struct abi abi = abi_of(module->abi);
    bool is_newer = abi.major > SL_ABI_MAJOR || (abi.major == SL_ABI_MAJOR && abi.minor > SL_ABI_MINOR);

    if (!module->abi) {
        snprintf(why, LOADER_WHY_SIZE, "its sl_module lacks .abi = SL_ABI");
        return -EINVAL;
    }
    if (is_newer || abi.major != SL_ABI_MAJOR || abi.size > sizeof(*table)) {
        snprintf(why, LOADER_WHY_SIZE,
                 "it was built for version %u.%u of syncless.h, this server has %d.%d: compile it with this server's "
                 "header%s",
                 abi.major, abi.minor, SL_ABI_MAJOR, SL_ABI_MINOR, is_newer ? ", or update the server" : "");
        return -EINVAL;
    }
    *table = (struct sl_module){0};
    memcpy(table, module, abi.size);
    return 0;
}

/* A module may call functions that only a newer server has. */
static void describe_failed_open(char why[LOADER_WHY_SIZE])
{
    const char *error = dlerror();
    bool is_newer = strstr(error, "undefined symbol: sl_");

    snprintf(why, LOADER_WHY_SIZE, "%s%s", error,
             is_newer ? ": compile it with this server's header, or update the server" : "");
}

int loader_open(struct sl_module *table, const char *path, char why[LOADER_WHY_SIZE])
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct sl_module *module;
    int err = -EINVAL;

    if (!handle) {
        describe_failed_open(why);
        return err;
    }
    module = dlsym(handle, "sl_module");
    if (module)
        err = loader_copy(table, module, why);
    else
        snprintf(why, LOADER_WHY_SIZE, "%s is not a syncless module: it does not export the symbol sl_module", path);
    if (err)
        dlclose(handle);
    return err;
}
