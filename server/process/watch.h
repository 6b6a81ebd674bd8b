/* watch.h: files and directories whose changes are told. */
#ifndef PROCESS_WATCH_H
#define PROCESS_WATCH_H

#include <stdbool.h>

/* Watch these paths, directories with all below them; NULL: none. A descriptor that is readable after a change, or -1.
 */
int watch_open(const char *const *paths);

/* Read what has happened: whether any of it is a change of a file that matters. */
bool watch_read(int fd);

#endif
