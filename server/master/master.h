/* master.h: the process that keeps workers running. */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "master/generation.h"

/* Bind, fork the workers and keep them running until told to stop. cmd is for reading the configuration anew; g is
 * taken over. Returns the exit code of the process. */
int master_run(const struct command *cmd, struct generation *g);

#endif
