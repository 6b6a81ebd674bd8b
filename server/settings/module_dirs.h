/* module_dirs.h: the directories in which modules are installed. */
#ifndef SETTINGS_MODULE_DIRS_H
#define SETTINGS_MODULE_DIRS_H

/* Returns the absolute paths of the directories to search, in order, NULL-terminated; static. Not thread-safe. */
const char *const *module_dirs(void);

#endif
