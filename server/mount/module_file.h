/*
 * module_file.h: the shared object of a module, found by the module's name.
 *
 * The module hello is in hello.so. One that runs in a Python interpreter has a shared object for each version of
 * CPython: wsgi-3.11.so.
 */
#ifndef MOUNT_MODULE_FILE_H
#define MOUNT_MODULE_FILE_H

#include <stdbool.h>

#include "base/arena.h"

/* Returns the path of the module in the first of the directories (NULL-terminated) that has it, or NULL. version is
 * that of CPython in this process; "" if there is none. */
const char *module_file_find(struct arena *a, const char *const *dirs, const char *name, const char *version);

/* Returns ": there is no NAME.so in DIRECTORY, DIRECTORY". */
const char *module_file_missing(struct arena *a, const char *const *dirs, const char *name);

/* Returns the versions of CPython for which the directories have the module, NULL-terminated. */
const char *const *module_file_versions(struct arena *a, const char *const *dirs, const char *name);

/* Returns the names of all modules in the directories, NULL-terminated. */
const char *const *module_file_names(struct arena *a, const char *const *dirs);

/* Whether a path is that of a module for a version of CPython. */
bool module_file_is_bridge(const char *path);

/* Returns the reason why none of these versions of a module can be used with CPython in this process, and what to do.
 */
const char *module_file_refusal(struct arena *a, const char *const *versions);

#endif
