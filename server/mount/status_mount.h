/* status_mount.h: the section [status PREFIX]: what the server tells of itself over HTTP. */
#ifndef MOUNT_STATUS_MOUNT_H
#define MOUNT_STATUS_MOUNT_H

#include "base/text.h"
#include "mount/mount.h"

struct conf;
struct conf_section;

/* The module of these sections, which needs no file. */
extern const struct sl_module status_module;

/* Check the keys of such a section, and make what the instance needs. Mistakes are recorded in c. */
void status_mount_fill(struct conf *c, const struct conf_section *section, void *instance);

/* Whether a mount of the list is one of them. */
bool status_is_mounted(const struct mount *mounts);

/* Whether one of them lets anybody cancel requests. */
bool status_lets_cancel(const struct mount *mounts);

/* How the handler asks the master: returns 0 with its answer in out, or -errno. Set once, in a worker. */
extern int (*status_ask_master)(const char *line, struct text *out);

#endif
