/*
 * open_files.c: the limit on open files (RLIMIT_NOFILE).
 *
 * Each connection is a descriptor. The soft limit is 1024 on most systems, for the sake of programs that use select();
 * whoever needs more raises it up to the hard limit, as a worker does. Programs that it starts inherit that.
 */
#include "process/open_files.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "log/log.h"

#define OTHERS 64 /* descriptors of a worker that are no connections, at least */

void open_files_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warn("cannot raise the limit of open files: %m");
}

void open_files_check(int64_t max_connections)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= (rlim_t)max_connections + OTHERS)
        return;
    log_warn("max-connections is %" PRId64
             ", but a worker can have %ju files open: raise that (ulimit -Hn, LimitNOFILE=) "
             "or set max-connections lower",
             max_connections, (uintmax_t)limit.rlim_max);
}
