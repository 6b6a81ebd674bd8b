/*
 * module_dirs.c: the directory in which the server's own modules are: `modules`, beside libsyncless.so.
 *
 * That holds for a build tree and for every installation, so an installed server can be moved as a whole.
 */
#include "settings/module_dirs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

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
