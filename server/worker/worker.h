/* worker.h: a process that serves. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "worker/listen.h"
#include "settings/settings.h"
#include "mount/module.h"

struct worker_job {
    const struct settings *settings;
    struct mount *mounts;
    const struct listen_set *sockets;
    int number;    /* shown in the log, from 1 */
    int channel;   /* to the master, see process/channel.h */
    bool prepared; /* worker_prepare was called before the fork */
};

/* In a fork of the master: signals as a worker has them, other configurations' sockets closed, privileges dropped. 0 or
 * -errno. */
int worker_prepare(const struct settings *settings, const struct listen_set *sockets);

/* Serve until told to stop: SIGTERM or SIGQUIT, when the running requests have ended or shutdown-timeout is over (with
 * SIGQUIT idle connections get time for a last request; a second one changes nothing); SIGINT, at once; or when the
 * master is gone. Returns the exit code of the process. */
int worker_run(const struct worker_job *job);

#endif
