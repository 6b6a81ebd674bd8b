/* self.h: where this server lies on the disk. */
#ifndef BASE_SELF_H
#define BASE_SELF_H

/* Returns the path of the file that this code was loaded from: libsyncless.so, or a test program; static. The first
 * call must come before that file is moved or its descriptor closed. */
const char *self_path(void);

#endif
