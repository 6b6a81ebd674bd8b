/* watch.h: watch files and directories for changes. */
#ifndef PROCESS_WATCH_H
#define PROCESS_WATCH_H

/* What to watch. All lists end with NULL; NULL: an empty one. */
struct watch_spec {
    const char *const *paths;    /* absolute: files, and directories with everything below them; NULL: watch nothing */
    const char *const *files;    /* absolute: more files */
    const char *const *patterns; /* fnmatch(3), of the names of files that count below directories; borrowed */
};

/* Watch this, and no longer what the last call has named, whose patterns may be freed afterwards. Returns a descriptor,
 * the caller's, that is readable after a change; or -1, after a message if that is a failure. */
int watch_open(const struct watch_spec *spec);

/* Watch these files too, absolute paths on lines of their own: what workers have loaded. They stay known for later
 * calls of watch_open. Not those in directories that are watched: the patterns decide there. Does nothing while nothing
 * is watched. */
void watch_add(const char *lines);

/* Read the events from the descriptor of the last watch_open. Returns the path of a watched file that has changed,
 * valid until the next call; NULL: none has. */
const char *watch_read(int fd);

#endif
