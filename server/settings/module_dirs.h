/* module_dirs.h: the directories in which modules are looked for. */
#ifndef SETTINGS_MODULE_DIRS_H
#define SETTINGS_MODULE_DIRS_H

struct arena;

/* Returns the absolute paths of the directories of the server's own modules, NULL-terminated; static. Not thread-safe.
 */
const char *const *module_dirs(void);

/* Returns the directories to search, in order, NULL-terminated: those that are given (NULL: none), then the server's
 * own. The list is the arena's. */
const char *const *module_dirs_after(struct arena *arena, const char *const *given);

#endif
