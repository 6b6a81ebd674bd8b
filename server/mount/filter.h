/* filter.h: the modules that stand in front of the mounts and see each request first. */
#ifndef MOUNT_FILTER_H
#define MOUNT_FILTER_H

#include "http/request/request.h"
#include "mount/mount.h"

/* Find the filters among the mounts, which stay the caller's. Returns whether there are any. */
bool filter_init(struct mount *mounts);

/* Pass a request, which is for that mount, through the filters for its path, on its coroutine. Returns SL_PASS, or the
 * result of the filter that did not let it pass, which the session treats as that of a handler. */
int filter_run(struct mount *mount, struct request *req);

#endif
