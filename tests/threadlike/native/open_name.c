/* Loads by a name without a slash, which is looked for where this library says (DT_RUNPATH). */
#include <dlfcn.h>

void *open_name(const char *name)
{
    return dlopen(name, RTLD_NOW);
}
