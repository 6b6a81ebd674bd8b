/* status_action.h: who may change something by [status]. */
#ifndef MOUNT_STATUS_ACTION_H
#define MOUNT_STATUS_ACTION_H

#include <stdbool.h>

#include "syncless.h"

/* Returns why a request must not change anything, although its client may: a page of somebody else may have made the
 * browser send it. NULL: it is of our own page, or of no browser. has_password: the client has given one. */
const char *status_action_refusal(const struct sl_request *req, bool has_password);

#endif
