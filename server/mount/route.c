/*
 * route.c: which instance serves a request.
 *
 * The longest prefix wins; of two of the same length, the one that names the host. Mounts are few, so a list sorted in
 * that order and searched from its start is fast enough, and simple. It ends with a mount for all requests, which
 * answers those that no other one serves: they too have limits and pass the filters.
 */
#include "mount/route.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "http/cancel.h"
#include "http/connection.h"
#include "mount/filter.h"

static int answer_404(void *self, struct sl_request *req)
{
    return 404;
}

static struct mount nowhere = {.module = {.handle = answer_404}, .title = "no mount", .host = "", .prefix = ""};
static struct mount **routes; /* sorted, ended by nowhere */

static bool goes_before(const struct mount *a, const struct mount *b)
{
    size_t a_size = strlen(a->prefix), b_size = strlen(b->prefix);

    return a_size != b_size ? a_size > b_size : *a->host && !*b->host;
}

/* Sort the mounts into routes. Returns their number. */
static size_t sort_mounts(struct mount *mounts)
{
    size_t count = 0, i;

    for (struct mount *m = mounts; m; m = m->next) {
        if (!m->module.handle)
            continue;
        for (i = count++; i > 0 && goes_before(m, routes[i - 1]); i--)
            routes[i] = routes[i - 1];
        routes[i] = m;
    }
    return count;
}

void route_init(struct mount *mounts, const struct mount_limits *limits)
{
    bool are_filtered = filter_init(mounts);
    size_t count = 0;

    for (struct mount *m = mounts; m; m = m->next)
        count++;
    routes = xcalloc(count + 1, sizeof(*routes));
    count = sort_mounts(mounts);
    if (are_filtered)
        nowhere.limits = *limits;
    routes[count] = &nowhere;
    for (struct mount **m = routes; m <= routes + count; m++) {
        (*m)->is_filtered = are_filtered;
        cancel_deadlines(&(*m)->deadlines, (*m)->limits.request_timeout);
    }
}

/* Apply the limits of a mount. A body known to be too large is refused unread, and so is the rest of the connection. */
static bool admit_body(const struct mount *mount, struct request *req)
{
    req->body_limit = mount->limits.max_body_size;
    if (req->body_limit == 0 || req->view.length <= req->body_limit)
        return true;
    req->keep_alive = false;
    return false;
}

/* Cancel the handler or filter, in its own way if it has one. */
static void cancel_module(struct request *req)
{
    const struct mount *mount = req->mount;

    if (mount->module.cancel)
        mount->module.cancel(mount->self, &req->view, req->cancelled);
    else
        wait_cancel(req->coro, -ECANCELED);
}

static int call_modules(struct mount *mount, struct request *req)
{
    int result = mount->is_filtered ? filter_run(mount, req) : SL_PASS;

    return result == SL_PASS ? mount->module.handle(mount->self, &req->view) : result;
}

/* Have the request served, and cancelled by the limits of its mount. */
static int serve_within_limits(struct mount *mount, struct request *req)
{
    bool if_gone = mount->limits.on_disconnect == ON_DISCONNECT_CANCEL;
    struct wait_timeouts *deadlines = mount->limits.request_timeout ? &mount->deadlines : NULL;

    if (!deadlines && !if_gone)
        return call_modules(mount, req);
    req->mount = mount;
    cancel_start(req, deadlines, if_gone, cancel_module);
    return cancel_stop(req, call_modules(mount, req));
}

/* Serve a request whose path begins with the mount's prefix. */
static int serve_at(struct mount *mount, struct request *req)
{
    req->view.mount = mount_prefix(mount, req);
    req->view.path += strlen(mount->prefix);
    return admit_body(mount, req) ? serve_within_limits(mount, req) : 413;
}

int route_handle(struct request *req)
{
    struct mount **m = routes;

    if (req->mount) /* the endpoint's only one */
        return serve_at(req->mount, req);
    while (!mount_has_path(*m, req->view.path) || !mount_has_host(*m, req->view.host))
        m++;
    return serve_at(*m, req);
}

void route_http_init(const struct http_settings *s, void (*ended)(const struct request *req))
{
    http_init(&(struct http_config){
        .handle = route_handle,
        .ended = ended,
        .proxies = &s->proxies,
        .max_concurrency = (size_t)s->max_concurrency,
        .queue_timeout = s->queue_timeout,
        .max_connections = (size_t)s->max_connections,
        .max_request_line = (size_t)s->max_request_line,
        .max_header_size = (size_t)s->max_header_size,
        .max_headers = (size_t)s->max_headers,
        .header_timeout = s->header_timeout,
        .keepalive_timeout = s->keepalive_timeout,
        .body_timeout = s->body_timeout,
        .write_timeout = s->write_timeout,
    });
}
