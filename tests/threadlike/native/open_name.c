/* Loads by a name without a slash, which is looked for where this library says (DT_RUNPATH), or by $ORIGIN; also with
 * dlmopen, and into a namespace of its own. */
#include <dlfcn.h>

void *by_dlopen(const char *name)
{
    return dlopen(name, RTLD_NOW);
}

void *by_dlmopen(const char *name)
{
    return dlmopen(LM_ID_BASE, name, RTLD_NOW);
}

/* Returns the state of a library that is loaded a second time, beside a libc of its own, or -1. */
int apart(const char *name)
{
    void *handle = dlmopen(LM_ID_NEWLM, name, RTLD_NOW);
    int (*load_state)(void), state = -1;

    if (handle) {
        *(void **)&load_state = dlsym(handle, "load_state");
        state = load_state();
        dlclose(handle);
    }
    return state;
}
