/* guarded_open.h: open a file as root in a directory of somebody else. */
#ifndef BASE_GUARDED_OPEN_H
#define BASE_GUARDED_OPEN_H

#include <sys/types.h>

/* As open(2), with O_CLOEXEC; but for root symbolic links count only if they are root's or in /proc, wherever in the
 * path they are: other ones are refused with ELOOP. */
int guarded_open(const char *path, int flags, mode_t mode);

#endif
