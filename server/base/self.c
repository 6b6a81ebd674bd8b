/*
 * self.c: where this server lies on the disk.
 *
 * The loader knows the file of an address. An executable has no name there; the kernel knows it.
 */
#include "base/self.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <sys/auxv.h>

const char *self_path(void)
{
    static char path[PATH_MAX];
    struct link_map *map = NULL;
    Dl_info info;

    if (*path)
        return path;
    if (!dladdr1(&path, &info, (void **)&map, RTLD_DL_LINKMAP) || !map || !*map->l_name || !realpath(map->l_name, path))
        if (!self_executable(path))
            *path = '\0';
    return path;
}

bool self_executable(char path[PATH_MAX])
{
    return realpath("/proc/self/exe", path) || realpath((const char *)getauxval(AT_EXECFN), path);
}
