/* route.h: which instance serves a request. */
#ifndef MOUNT_ROUTE_H
#define MOUNT_ROUTE_H

#include "http/config.h"
#include "http/request/request.h"
#include "mount/mount.h"
#include "settings/http.h"

/* Once in a process that serves: set HTTP up with these settings, which are kept, and limits, such that it hands every
 * request to route_handle. */
void route_http_init(const struct http_settings *s, const struct mount_limits *limits, struct http_hooks hooks);

/* Before the first request: these are the mounts, which stay the caller's, the limits of requests that none of them
 * serves, and the milliseconds for which requests wait for others of the same mount (0: no limit). */
void route_init(struct mount *mounts, const struct mount_limits *limits, int64_t queue_timeout);

/* Before route_init: cancel_by_operator works on all requests. */
void route_let_operators_cancel(void);

/* Set the limits of the requests of a mount that is no route. */
void route_set_limits(struct mount *mount);

/* Hand a request to the mount with the longest prefix of its path, among those for its host, after the filters have let
 * it pass. Returns the result of sl_module.handle or filter; 404 if there is no such mount. */
int route_handle(struct request *req);

#endif
