/* pidfile.h: the file with the pid of the master. */
#ifndef PROCESS_PIDFILE_H
#define PROCESS_PIDFILE_H

#include <sys/types.h>

/* Write our pid. Returns 0 or -errno. */
int pidfile_write(const char *path);

/* Returns the pid in it, or -errno; -EINVAL: it contains no pid. */
pid_t pidfile_read(const char *path);

/* Remove it if it contains our pid. */
void pidfile_remove(const char *path);

/* Rename it to PATH.oldbin while the new binary of an upgrade runs, and back. Both return 0 or -errno. */
int pidfile_set_aside(const char *path);
int pidfile_restore(const char *path);

/* Returns the pid in PATH.oldbin, or -errno. */
pid_t pidfile_read_aside(const char *path);

/* Remove PATH.oldbin if it contains our pid. */
void pidfile_remove_aside(const char *path);

#endif
