/*
 * module_dirs.c: the directories in which modules are looked for: those of the key module-path, then that of the
 * server's own modules, `modules`, beside libsyncless.so.
 *
 * That holds for a build tree and for every installation, so an installed server can be moved as a whole.
 */
#include "settings/module_dirs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/self.h"

const char *const *module_dirs(void)
{
    static char beside[PATH_MAX + sizeof("/modules")];
    static const char *const dirs[] = {beside, NULL};
    const char *self = self_path();
    const char *slash = strrchr(self, '/');

    snprintf(beside, sizeof(beside), "%.*s/modules", slash ? (int)(slash - self) : 0, self);
    return dirs;
}

const char *const *module_dirs_after(struct arena *arena, const char *const *given)
{
    const char **dirs;
    size_t count = 0;

    while (given && given[count])
        count++;
    dirs = arena_alloc(arena, (count + 2) * sizeof(*dirs));
    for (size_t i = 0; i < count; i++)
        dirs[i] = given[i];
    dirs[count] = *module_dirs();
    dirs[count + 1] = NULL;
    return dirs;
}
