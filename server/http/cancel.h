/* cancel.h: cancelling a request before its handler returns. */
#ifndef HTTP_CANCEL_H
#define HTTP_CANCEL_H

#include "http/request/request.h"

/* Before the first request. endless: see http_hooks. */
void cancel_init(void (*endless)(struct request *req));

/* Make deadlines a list of requests that may run for so many milliseconds each. */
void cancel_deadlines(struct wait_timeouts *deadlines, int64_t milliseconds);

/* The handler of a request begins, on its coroutine; req->limits says when it is cancelled. limits.cancel makes the
 * handler's waits fail; it is called on the loop's stack, and every 5 s again until cancel_stop. */
void cancel_start(struct request *req);

/* The handler has returned result. Returns that, or 504, 503 or STATUS_CLIENT_CLOSED_REQUEST if the request was
 * cancelled.
 */
int cancel_stop(struct request *req, int result);

/* An operator wants it cancelled. Returns false if it cannot be: no handler runs, or it is cancelled already. */
bool cancel_by_operator(struct request *req);

/* Its time does not run, as far as it counts, until that is taken back; in its handler. */
void cancel_hold(struct request *req, bool on);

/* The client has closed the connection of a request that is being handled. */
void cancel_gone(struct request *req);

#endif
