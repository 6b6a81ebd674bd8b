/* generation.h: a configuration that was read, with all that was made from it. */
#ifndef MASTER_GENERATION_H
#define MASTER_GENERATION_H

#include "worker/listen.h"
#include "main/cmdline.h"
#include "conf/conf.h"
#include "settings/settings.h"
#include "mount/module.h"

struct fork_server;

struct generation {
    struct conf *conf; /* owns what the others point at */
    struct settings settings;
    struct mount *mounts;
    struct listen_set sockets;
    struct fork_server *fork_server; /* owned; NULL without preload */
    int users;                       /* workers that run it, and the crew */
    bool proven;                     /* a worker of it has served */
};

/* Read the configuration that the command line names and load its modules. Mistakes are in conf->errors; with any of
 * them the rest may only be freed. One user, the caller. */
struct generation *generation_load(const struct command *cmd);

/* Open its logs and have this process write there. 0, or -errno after a message. */
int generation_open_logs(const struct generation *g);

/* Open its log files anew, and write there from now on: this process, if channel is -1, or the one behind the channel,
 * which runs it too. What fails is logged, and the file before stays. */
void generation_reopen_logs(const struct generation *g, int channel);

/* Write the configuration with all defaults. Returns the exit code for that. */
int generation_dump(const struct generation *g, FILE *out);

/* No worker of it is to be started any more: one user less, and what starts workers is ended. */
void generation_retire(struct generation *g);

/* One user more; one less: the last one frees it. */
void generation_hold(struct generation *g);
void generation_drop(struct generation *g);

#endif
