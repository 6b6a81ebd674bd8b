/* cpus.h: how many CPUs the server may use. */
#ifndef SETTINGS_CPUS_H
#define SETTINGS_CPUS_H

#include <stdint.h>

/* Returns the number of CPUs that this process may run on, or fewer if the quota of its cgroups is smaller; at least 1.
 */
int64_t cpus_count(void);

/* Returns the default of the key threads: twice as many, at most MAX_THREADS. */
#define MAX_THREADS 1024
int64_t cpus_threads(void);

/* Returns the CPU quota of this process's cgroups in CPUs, rounded up; INT64_MAX: there is none. root is put in front
 * of the absolute paths of proc and sys files: "", or where a test has its own. */
int64_t cpus_quota(const char *root);

#endif
