/* check_start.h: whether a server could start with a configuration, for -t. */
#ifndef MAIN_CHECK_START_H
#define MAIN_CHECK_START_H

#include "master/generation.h"

/* Look at what a start would open: directories of logs, of the pidfile and of sockets, addresses, and the paths of
 * modules, the last as `user`. What is wrong is recorded in the configuration. */
void check_start(const struct generation *g);

#endif
