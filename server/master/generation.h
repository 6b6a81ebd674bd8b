/* generation.h: a configuration that was read, with everything that was made from it. */
#ifndef MASTER_GENERATION_H
#define MASTER_GENERATION_H

#include "conf/conf.h"
#include "mount/mount.h"
#include "settings/settings.h"
#include "worker/listen.h"

struct command;
struct fork_server;

/* Reads the configuration that the command line names; mistakes are recorded in conf. */
typedef void configure_fn(const struct command *cmd, struct conf *conf);

struct generation {
    struct conf *conf; /* owned; the other fields point into it */
    struct settings settings;
    struct mount *mounts;
    const char *const *access_logs;      /* targets of all access logs, ended by NULL */
    const struct conf_section *unhosted; /* the first section that needs Python where there is none; NULL: none */
    struct listen_set sockets;
    struct fork_server *fork_server; /* the supervisor's; NULL: none */
    int users;                       /* who holds it: its workers, and the supervisor */
    bool proven;                     /* a worker of it has become ready */
    bool replaces_fast; /* workers that are replaced by those of this one have no shutdown-timeout, see workers.h */
};

/* Read the configuration and load its modules. Mistakes are in conf->errors; if there are any, or unhosted is set, all
 * that may be done is generation_drop. The caller holds it. */
struct generation *generation_load(configure_fn *configure, const struct command *cmd);

/* Open its logs, for this process to write there. Returns 0, or -errno after a message. */
int generation_open_logs(const struct generation *g);

/* Reopen its log files, for this process to write there if channel is -1, or else for the process at the other end of
 * the channel. A failure is logged, and the old file stays. */
void generation_reopen_logs(const struct generation *g, int channel);

/* Write the configuration with all defaults. Returns the exit code for that. */
int generation_dump(const struct generation *g, FILE *out);

/* Hold it, and drop it again: when nobody holds it, it is freed. */
void generation_hold(struct generation *g);
void generation_drop(struct generation *g);

#endif
