/* inspect.h: what can be found out about a worker without its help. */
#ifndef MASTER_INSPECT_H
#define MASTER_INSPECT_H

#include <sys/types.h>

#include "settings/process.h"

struct inspection {
    char state;     /* as in /proc/PID/stat: T stopped by a signal, D waits for a disk, ...; '?': not known */
    pid_t tracer;   /* a debugger; 0: none, or not known */
    char what[256]; /* the request that has the OS thread, such as "GET /"; "": none, or not known */
};

/* Look at a process that was forked with these settings. */
void inspect(pid_t pid, const struct process_settings *settings, struct inspection *found);

#endif
