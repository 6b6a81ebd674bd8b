/* status_page.h: the page of [status], for browsers. */
#ifndef MOUNT_STATUS_PAGE_H
#define MOUNT_STATUS_PAGE_H

#include <stdbool.h>

#include "http/request/request.h"

/* Whether the client wants HTML: it is a browser. */
bool status_page_is_wanted(const struct sl_request *req);

/* Answer with the page; may_cancel: it offers to cancel requests. Returns as a handler does. */
int status_page_reply(struct request *req, bool may_cancel);

#endif
