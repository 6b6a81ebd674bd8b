/* watch.h: watch files and directories for changes. */
#ifndef PROCESS_WATCH_H
#define PROCESS_WATCH_H

#include <stdbool.h>

/* Watch these absolute paths, directories with everything below them, and no longer those of the last call. paths ends
 * with NULL; NULL: watch nothing. Returns a descriptor, the caller's, that is readable after a change; or -1, after a
 * message if that is a failure. */
int watch_open(const char *const *paths);

/* Read the events from the descriptor of the last watch_open. Returns whether one of them is a change of a watched
 * file. */
bool watch_read(int fd);

#endif
