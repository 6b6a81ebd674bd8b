/* landlock.h: confine a process to some folders, by Landlock of Linux. */
#ifndef PROCESS_LANDLOCK_H
#define PROCESS_LANDLOCK_H

#include <stdbool.h>

/* What may be done with a file, or with everything below a folder. */
enum landlock_use { LANDLOCK_READ = 1, LANDLOCK_WRITE = 2, LANDLOCK_EXECUTE = 4 };

/* Whether the kernel has it. */
bool landlock_is_there(void);

/* Begin a list of what is allowed. Returns a descriptor, or -errno. */
int landlock_begin(void);

/* Allow it. uses: of enum landlock_use. A path that is not there is none. Returns 0 or -errno. */
int landlock_allow(int rules, const char *path, unsigned uses);

/* From now on this process, and what it starts, may do nothing else with files. Closes rules. Returns 0 or -errno. */
int landlock_enforce(int rules);

#endif
