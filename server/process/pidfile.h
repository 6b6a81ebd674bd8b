/* pidfile.h: the file that holds the pid of the master. */
#ifndef PROCESS_PIDFILE_H
#define PROCESS_PIDFILE_H

#include <sys/types.h>

/* Write our pid: 0 or -errno. */
int pidfile_write(const char *path);

/* The pid in it, or -errno; -EINVAL if that is none. */
pid_t pidfile_read(const char *path);

/* Remove it, if it holds our pid. */
void pidfile_remove(const char *path);

/* Give it the name PATH.oldbin while a successor runs, and take that back. */
void pidfile_set_aside(const char *path);
void pidfile_take_back(const char *path);

/* Remove PATH.oldbin, if it holds our pid. */
void pidfile_remove_aside(const char *path);

#endif
