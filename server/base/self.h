/* self.h: where this server lies on the disk. */
#ifndef BASE_SELF_H
#define BASE_SELF_H

#include <limits.h>
#include <stdbool.h>

/* Returns the path of the file that this code was loaded from: libsyncless.so, or a test program; static. The first
 * call must come before that file is moved or its descriptor closed. */
const char *self_path(void);

/* Fill in the path of the executable of this process, without symbolic links where /proc is mounted. Returns false with
 * errno if it is not known. */
bool self_executable(char path[PATH_MAX]);

#endif
