/*
 * cancel.c: cancelling a request before its handler returns: its time is up, or its client has left.
 *
 * A handler cannot be stopped from outside, only be told: its waits fail from then on (wait_cancel), or a runtime
 * raises an exception in it. After such an exception the handler may wait again to clean up; one that is still not done
 * after GRACE is cancelled once more.
 */
#include "http/cancel.h"

#include <errno.h>

#include "http/io/input.h"
#include "http/io/output.h"
#include "http/response/status.h"
#include "log/log.h"

#define GRACE    5000 /* milliseconds to clean up */
#define COMPUTES 1000 /* milliseconds after which one that computes, and does not wait, is cancelled again */
#define TO_BEGIN 1    /* milliseconds, as short as a timeout can be */

#define MUST_END 10000 /* milliseconds after which one that computes upon a thread is endless */

static struct wait_timeouts graces, computing, gone_early;
static void (*on_endless)(struct request *req); /* NULL when it has been called */

static struct request *request_of_timeout(struct wait_timeout *timeout)
{
    return list_entry(timeout, struct request, deadline);
}

static bool is_endless(const struct request *req)
{
    return req->cancelled == -ETIMEDOUT && req->coro->away && wait_time() - req->view.deadline >= MUST_END;
}

/* Cancel the handler, now and after each GRACE; sooner if it was preempted, and so has not been told. */
static void cancel_now(struct wait_timeout *timeout)
{
    struct request *req = request_of_timeout(timeout);

    wait_timeout_start(req->coro->parked ? &graces : &computing, timeout);
    req->limits->cancel(req);
    if (on_endless && is_endless(req)) {
        on_endless(req);
        on_endless = NULL;
    }
}

static void cancel_once(struct request *req, int why)
{
    if (req->cancelled)
        return;
    req->cancelled = why;
    cancel_now(&req->deadline);
}

/* Whether its time does not count any more. */
static bool is_exempt(const struct request *req)
{
    return req->head_sent && req->limits->counts == COUNTS_TO_RESPONSE;
}

/* Whether the time of a request is over: that which its list of timeouts knows is, but it may have waited for its
 * client meanwhile, and may do so now. */
static bool is_due(struct request *req)
{
    if (req->client_wait.count > 0 || is_exempt(req))
        return false;
    if (req->view.deadline <= wait_time())
        return true;
    wait_timeout_start_at(req->limits->deadlines, &req->deadline, req->view.deadline);
    return false;
}

static void on_client_wait(struct client_wait *wait, int64_t waited)
{
    struct request *req = list_entry(wait, struct request, client_wait);

    if (is_exempt(req) || req->held)
        return;
    if (!req->due)
        req->due = req->view.deadline * 1000000;
    req->due += waited;
    req->view.deadline = waited ? (req->due + 999999) / 1000000 : 0;
    if (waited && !req->cancelled && list_empty(&req->deadline.link))
        wait_timeout_start_at(req->limits->deadlines, &req->deadline, req->view.deadline);
}

static void cancel_overdue(struct wait_timeout *timeout)
{
    struct request *req = request_of_timeout(timeout);

    if (!is_due(req))
        return;
    request_log(req, LOG_LEVEL_WARN, "request-timeout exceeded, cancelling the request");
    cancel_once(req, -ETIMEDOUT);
}

/* The client had left before the handler began. It is cancelled from the loop a moment later, since a handler with a
 * cancel function cannot be cancelled before it runs. */
static void cancel_gone_early(struct wait_timeout *timeout)
{
    cancel_once(request_of_timeout(timeout), -ECONNRESET);
}

void cancel_init(void (*endless)(struct request *req))
{
    on_endless = endless;
    wait_timeouts_init(&graces, GRACE, cancel_now);
    wait_timeouts_init(&computing, COMPUTES, cancel_now);
    wait_timeouts_init(&gone_early, TO_BEGIN, cancel_gone_early);
}

void cancel_deadlines(struct wait_timeouts *deadlines, int64_t milliseconds)
{
    wait_timeouts_init(deadlines, milliseconds, cancel_overdue);
}

static void start_deadline(struct request *req)
{
    wait_timeout_start_new(req->limits->deadlines, &req->deadline);
    req->view.deadline = req->deadline.due;
    if (req->limits->counts == COUNTS_ALL)
        return;
    req->client_wait.changed = on_client_wait;
    req->out->client_wait = &req->client_wait;
}

void cancel_start(struct request *req)
{
    req->coro = coro_self();
    if (req->limits->deadlines)
        start_deadline(req);
    else
        list_init(&req->deadline.link);
    if (req->limits->if_gone && req->in->source->seen & (POLLRDHUP | POLLHUP | POLLERR))
        wait_timeout_start(&gone_early, &req->deadline);
}

int cancel_stop(struct request *req, int result)
{
    struct coro *coro = req->coro;

    wait_timeout_stop(&req->deadline);
    req->out->client_wait = NULL;
    req->coro = NULL;
    if (!req->cancelled)
        return result;
    wait_cancel(coro, 0);
    if (result == 0 && req->head_sent) /* the handler has answered in spite of it */
        return 0;
    if (req->cancelled == -ECANCELED)
        return 503;
    return req->cancelled == -ETIMEDOUT ? 504 : STATUS_CLIENT_CLOSED_REQUEST;
}

static void hold_deadline(struct request *req)
{
    req->held = true;
    if (!req->due)
        req->due = req->view.deadline * 1000000;
    req->due -= wait_now();
    req->view.deadline = 0;
    wait_timeout_stop(&req->deadline);
}

/* While it waits for its client, on_client_wait does the rest later. */
static void release_deadline(struct request *req)
{
    req->due += wait_now();
    req->held = false;
    if (req->client_wait.count > 0 || is_exempt(req))
        return;
    req->view.deadline = (req->due + 999999) / 1000000;
    if (list_empty(&req->deadline.link))
        wait_timeout_start_at(req->limits->deadlines, &req->deadline, req->view.deadline);
}

void cancel_hold(struct request *req, bool on)
{
    if (!req->coro || !req->limits->deadlines || req->cancelled || on == req->held)
        return;
    if (on)
        hold_deadline(req);
    else
        release_deadline(req);
}

bool cancel_by_operator(struct request *req)
{
    if (!req->coro || !req->limits->by_operator || req->cancelled)
        return false;
    request_log(req, LOG_LEVEL_WARN, "cancelling the request, as an operator wants");
    cancel_once(req, -ECANCELED);
    return true;
}

void cancel_gone(struct request *req)
{
    if (req->coro && req->limits->if_gone)
        cancel_once(req, -ECONNRESET);
}
