/* privilege.h: drop the privileges of a worker before it runs code of an application. */
#ifndef PROCESS_PRIVILEGE_H
#define PROCESS_PRIVILEGE_H

#include "settings/process.h"

/* Set umask, root directory, groups and user of this process, irrevocably, and HOME, USER and LOGNAME to those of the
 * user. Returns 0, or -errno after a message. */
int privilege_drop(const struct process_settings *s);

#endif
