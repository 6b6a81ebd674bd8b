/* loader.h: opens the shared object of a module and reads its table, struct sl_module. */
#ifndef MOUNT_LOADER_H
#define MOUNT_LOADER_H

#include "syncless.h"

#define LOADER_WHY_SIZE 512 /* bytes of a message */

/* Open the shared object at path, which stays open, and copy its table. Returns 0; or -EINVAL, and in why what is wrong
 * with it and what to do. One that is open already is cheap to open again. */
int loader_open(struct sl_module *table, const char *path, char why[LOADER_WHY_SIZE]);

/* Copy the table of a module, which may have been compiled with an older header: members that it does not have are
 * zero. Returns as loader_open. */
int loader_copy(struct sl_module *table, const struct sl_module *module, char why[LOADER_WHY_SIZE]);

#endif
