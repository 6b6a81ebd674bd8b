/* sandbox.h: what a worker may do at most, whoever has taken it over (key `sandbox`). */
#ifndef PROCESS_SANDBOX_H
#define PROCESS_SANDBOX_H

#include "mount/mount.h"
#include "settings/process.h"

struct conf;

/* Find the folders that the configuration names, and whether a module starts programs. After mounts_load. */
void sandbox_prepare(struct process_settings *s, struct conf *c, const struct mount *mounts);

/* Log what the kernel lacks for the sandbox, if there is to be one. In the master. */
void sandbox_check(const struct process_settings *s);

/* Confine this process and those that it starts, for good. Returns 0, or -errno after a message. */
int sandbox_enter(const struct process_settings *s);

#endif
