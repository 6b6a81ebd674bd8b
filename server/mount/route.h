/* route.h: which instance serves a request. */
#ifndef MOUNT_ROUTE_H
#define MOUNT_ROUTE_H

#include "http/request/request.h"
#include "mount/module.h"
#include "settings/http.h"

/* Once in a process that serves: set HTTP up with these settings, which are kept, such that it hands every request to
 * route_handle. ended: as http_config.ended. */
void route_http_init(const struct http_settings *s, void (*ended)(const struct request *req));

/* Take the mounts, in the order of their prefixes from then on. They stay the caller's. */
void route_init(struct mount *mounts);

/* Hand the request to the mount with the longest prefix of its path, among those for its host. Returns what handle
 * returned, or 404. */
int route_handle(struct request *req);

#endif
