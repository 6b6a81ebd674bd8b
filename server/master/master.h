/* master.h: the process that keeps workers running. */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "master/generation.h"

struct master_start {
    char **argv; /* for an upgrade */
    configure_fn *configure;
    const struct command *cmd; /* configure's argument, at each reload */
    const char *versions;      /* lines, for about.c */
};

/* Listen, fork the workers of g, which is taken over, and keep them running until told to stop. Returns the exit code
 * of the process. */
int master_run(const struct master_start *start, struct generation *g);

#endif
