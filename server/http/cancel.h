/* cancel.h: ending a request before its handler returns. */
#ifndef HTTP_CANCEL_H
#define HTTP_CANCEL_H

#include "http/request/request.h"

/* Before the first request. */
void cancel_init(void);

/* Prepare the deadlines of requests that may each run for so many milliseconds. */
void cancel_deadlines(struct wait_timeouts *deadlines, int64_t milliseconds);

/* The handler of a request begins, on its coroutine. deadlines: NULL for none. if_gone: the client's leaving is to end
 * it. end: gets the handler out of what it waits for; called again every 100 ms until cancel_stop. */
void cancel_start(struct request *req, struct wait_timeouts *deadlines, bool if_gone, void (*end)(struct request *req));

/* The handler has returned result. Returns what that means, if the request was to be ended meanwhile. */
int cancel_stop(struct request *req, int result);

/* The connection of a request in work was closed by the client. */
void cancel_gone(struct request *req);

#endif
