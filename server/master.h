/* master.h: the process that keeps workers running. */
#ifndef MASTER_H
#define MASTER_H

#include "conf/settings.h"
#include "module.h"

/* Bind, fork the workers and keep them running until told to stop. Returns the exit code of the process. */
int master_run(const struct settings *settings, struct mount *mounts);

#endif
