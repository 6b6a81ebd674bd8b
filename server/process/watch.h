/* watch.h: files and directories whose changes are told. */
#ifndef PROCESS_WATCH_H
#define PROCESS_WATCH_H

#include <stdbool.h>

/* Watch these absolute paths, and no others any more; directories with all below them; NULL: none. A descriptor that is
 * readable after a change, the caller's, or -1, which is logged. */
int watch_open(const char *const *paths);

/* Read what has happened, from the descriptor of the last watch_open: whether any of it is a change of a file that
 * matters. */
bool watch_read(int fd);

#endif
