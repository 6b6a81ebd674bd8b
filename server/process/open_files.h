/* open_files.h: the limit on open files (RLIMIT_NOFILE). */
#ifndef PROCESS_OPEN_FILES_H
#define PROCESS_OPEN_FILES_H

#include <stdint.h>

/* Raise this process's limit as far as it may. */
void open_files_raise(void);

/* Log a warning if a worker cannot have so many connections open. */
void open_files_check(int64_t max_connections);

#endif
