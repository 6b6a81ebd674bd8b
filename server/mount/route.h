/* route.h: which instance serves a request. */
#ifndef ROUTE_H
#define ROUTE_H

#include "http/request/request.h"
#include "mount/module.h"

/* Take the mounts, in the order of their prefixes from then on. They stay the caller's. */
void route_init(struct mount *mounts);

/* Hand the request to the mount with the longest prefix of its path, among those for its host. Returns what handle
 * returned, or 404. */
int route_handle(struct request *req);

#endif
