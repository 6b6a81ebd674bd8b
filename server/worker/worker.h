/* worker.h: a process that serves. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "mount/mount.h"
#include "settings/settings.h"
#include "worker/listen.h"

struct worker_job {
    const struct settings *settings;
    struct mount *mounts;
    const struct listen_set *sockets;
    int number;    /* from 1; shown in the log */
    int channel;   /* to the master, see process/channel.h */
    bool prepared; /* worker_prepare was called before the fork */
};

/* In a fork of the master: set the signals of a worker, close the sockets of other configurations and drop privileges.
 * Returns 0 or -errno, after a message. */
int worker_prepare(const struct settings *settings, const struct listen_set *sockets);

/* Serve until told to stop. SIGTERM and SIGQUIT wait until the running requests have ended, or for shutdown-timeout;
 * with SIGQUIT idle connections have time for a last request; a second one of them changes nothing. SIGINT stops at
 * once. The death of the master counts as SIGTERM. Returns the exit code of the process. */
int worker_run(const struct worker_job *job);

/* Load the applications as a worker does, and end them. Returns the exit code of the process. */
int worker_check(const struct worker_job *job);

#endif
