/*
 * cancel.c: ending a request before its handler returns: its time is up, or its client has left.
 *
 * A handler cannot be stopped from outside, only be told: what it waits for ends with an error, or with an exception
 * where a runtime runs it. Some handlers need several such knocks, be it that they clean up or try again, so they come
 * until it returns.
 */
#include "http/cancel.h"

#include <errno.h>

#include "http/io/input.h"
#include "log/log.h"

#define AGAIN_EVERY 100 /* milliseconds */

static struct wait_timeouts again;

static struct request *request_with(struct wait_timeout *timeout)
{
    return list_entry(timeout, struct request, deadline);
}

static void knock(struct wait_timeout *timeout)
{
    struct request *req = request_with(timeout);

    wait_timeout_start(&again, timeout);
    req->end(req);
}

static void cancel(struct request *req, int why)
{
    if (req->cancelled)
        return;
    req->cancelled = why;
    knock(&req->deadline);
}

static void on_deadline(struct wait_timeout *timeout)
{
    struct request *req = request_with(timeout);

    request_log(req, LOG_LEVEL_WARN, "request-timeout is over, the request is being ended");
    cancel(req, -ETIMEDOUT);
}

void cancel_init(void)
{
    wait_timeouts_init(&again, AGAIN_EVERY, knock);
}

void cancel_deadlines(struct wait_timeouts *deadlines, int64_t milliseconds)
{
    wait_timeouts_init(deadlines, milliseconds, on_deadline);
}

void cancel_start(struct request *req, struct wait_timeouts *deadlines, bool if_gone, void (*end)(struct request *req))
{
    req->coro = coro_self();
    req->end = end;
    req->if_gone = if_gone;
    list_init(&req->deadline.link);
    if (deadlines) {
        wait_timeout_start(deadlines, &req->deadline);
        req->facts.deadline = req->deadline.due;
    }
    if (req->in->source->seen & (POLLRDHUP | POLLHUP | POLLERR))
        cancel_gone(req);
}

int cancel_stop(struct request *req, int result)
{
    wait_timeout_stop(&req->deadline);
    req->end = NULL;
    if (!req->cancelled)
        return result;
    wait_break(req->coro, 0);
    if (result == 0 && req->head_sent) /* it has made it all the same */
        return 0;
    return req->cancelled == -ETIMEDOUT ? 504 : 499;
}

void cancel_gone(struct request *req)
{
    if (req->end && req->if_gone)
        cancel(req, -ECONNRESET);
}
