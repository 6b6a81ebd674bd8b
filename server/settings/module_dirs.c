/*
 * module_dirs.c: the directories in which modules are installed.
 *
 * A build tree has its modules in the directory `modules` beside the executable, an installed server in MODULE_DIR.
 * Both are searched, the build tree's first, so that a freshly built executable does not load installed modules.
 */
#include "settings/module_dirs.h"

#include <limits.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef MODULE_DIR /* where make install puts the modules */
#define MODULE_DIR "/usr/local/lib/syncless"
#endif

const char *const *module_dirs(void)
{
    static char beside[PATH_MAX + sizeof("modules")];
    static const char *dirs[3];
    ssize_t size = readlink("/proc/self/exe", beside, PATH_MAX);
    const char **end = dirs;

    if (size > 0 && size < PATH_MAX) {
        beside[size] = '\0';
        strcpy(strrchr(beside, '/') + 1, "modules");
        *end++ = beside;
    }
    *end++ = MODULE_DIR;
    *end = NULL;
    return dirs;
}
