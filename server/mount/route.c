/*
 * route.c: which instance serves a request.
 *
 * The longest prefix wins; of two of the same length, the one that names the host. Mounts are few, so a list sorted in
 * that order and searched from its start is fast enough, and simple. The parts of a mount that have limits of their own
 * (settings/area.h) are routes to the same instance, in front of it. The list ends with a mount for all requests, which
 * answers those that no other one serves: they too have limits and pass the filters.
 */
#include "mount/route.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/cancel.h"
#include "http/connection.h"
#include "http/gate.h"
#include "http/response/response.h"
#include "http/session.h"
#include "metrics/metrics_table.h"
#include "mount/filter.h"

static int answer_404(void *self, struct sl_request *req)
{
    return 404;
}

static struct mount nowhere = {
    .module = {.handle = answer_404}, .title = "no mount", .host = "", .prefix = "", .script = ""};
static bool operators_cancel; /* see route_let_operators_cancel */
static struct mount **routes; /* sorted, ended by nowhere */

static bool goes_before(const struct mount *a, const struct mount *b)
{
    size_t a_size = strlen(a->prefix), b_size = strlen(b->prefix);

    return a_size != b_size ? a_size > b_size : *a->host && !*b->host;
}

/* Add the mounts of a list that handle requests to sorted ones. Returns how many there are then. */
static size_t sort_mounts(struct mount **sorted, size_t count, struct mount *mounts)
{
    for (struct mount *m = mounts; m; m = m->next) {
        size_t i;

        if (!m->module.handle)
            continue;
        for (i = count++; i > 0 && goes_before(m, sorted[i - 1]); i--)
            sorted[i] = sorted[i - 1];
        sorted[i] = m;
    }
    return count;
}

/* Make the routes: each mount behind its areas. Returns their number. */
static size_t sort_routes(struct mount *mounts, size_t capacity)
{
    struct mount **sorted = xcalloc(capacity + 1, sizeof(*sorted));
    size_t mount_count = sort_mounts(sorted, 0, mounts), count = 0;

    for (size_t i = 0; i < mount_count; i++) {
        count += sort_mounts(routes + count, 0, sorted[i]->areas);
        routes[count++] = sorted[i];
    }
    free(sorted);
    return count;
}

static size_t count_mounts(const struct mount *mounts)
{
    size_t count = 0;

    for (const struct mount *m = mounts; m; m = m->next)
        count += 1 + count_mounts(m->areas);
    return count;
}

/* Give the mount its gate, which it may have in common with routes before it. */
static void open_gate(struct mount *mount, int64_t queue_timeout)
{
    const struct mount_limits *limits = &mount->limits;

    if (!limits->max_owner)
        return;
    for (struct mount **m = routes; *m != mount && !mount->gate; m++)
        if ((*m)->limits.max_owner == limits->max_owner)
            mount->gate = (*m)->gate;
    if (mount->gate)
        return;
    mount->gate = xcalloc(1, sizeof(*mount->gate));
    gate_init(mount->gate, (size_t)limits->max_concurrency, queue_timeout, limits->max_title);
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

void route_let_operators_cancel(void)
{
    operators_cancel = true;
}

void route_set_limits(struct mount *mount)
{
    const struct mount_limits *limits = &mount->limits;

    cancel_deadlines(&mount->deadlines, limits->request_timeout);
    mount->handling = (struct request_limits){
        .deadlines = limits->request_timeout ? &mount->deadlines : NULL,
        .counts = (enum deadline_counts)limits->timeout_counts,
        .if_gone = limits->on_disconnect == ON_DISCONNECT_CANCEL,
        .number = metrics_mount(mount->title),
        .by_operator = operators_cancel,
        .cancel = cancel_module,
        .pace = {limits->min_rate, limits->min_rate_after * 1000000},
    };
}

static void open_route(struct mount *mount, bool is_filtered, bool has_urgent, int64_t queue_timeout)
{
    mount->is_filtered = is_filtered;
    route_set_limits(mount);
    open_gate(mount, queue_timeout);
    mount->is_special = mount->gate || has_urgent;
}

/* Decide about a priority that is left to us. Filters may wait for anything. Returns whether it is high. */
static bool settle_priority(struct mount *mount, bool is_filtered)
{
    if (mount->limits.priority == PRIORITY_AUTO)
        mount->limits.priority = mount->module.is_quick && !is_filtered ? PRIORITY_HIGH : PRIORITY_NORMAL;
    return mount->limits.priority == PRIORITY_HIGH;
}

void route_init(struct mount *mounts, const struct mount_limits *limits, int64_t queue_timeout)
{
    bool are_filtered = filter_init(mounts), has_urgent = false;
    size_t count = count_mounts(mounts);

    routes = xcalloc(count + 1, sizeof(*routes));
    count = sort_routes(mounts, count);
    if (are_filtered)
        nowhere.limits = *limits;
    routes[count] = &nowhere;
    for (size_t i = 0; i < count; i++)
        has_urgent |= settle_priority(routes[i], are_filtered);
    for (size_t i = 0; i <= count; i++)
        open_route(routes[i], are_filtered, has_urgent, queue_timeout);
    if (has_urgent)
        http_set_urgent();
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

static int call_modules(struct mount *mount, struct request *req)
{
    int result = mount->is_filtered ? filter_run(mount, req) : SL_PASS;

    return result == SL_PASS ? mount->module.handle(mount->self, &req->view) : result;
}

/* Have the request served, and cancelled by the limits of its mount. */
static int serve_within_limits(struct mount *mount, struct request *req)
{
    if (!mount->handling.deadlines && !mount->handling.if_gone && !mount->handling.by_operator)
        return call_modules(mount, req);
    req->mount = mount;
    cancel_start(req);
    return cancel_stop(req, call_modules(mount, req));
}

/* The request has waited too long to run. */
static int refuse_busy(struct request *req)
{
    response_header(req, "Retry-After", 11, "1", 1);
    response_keep(req);
    req->keep_alive = false;
    return 503;
}

/* At the end of a request, also if its coroutine ends in the middle of it. */
static void leave_gate(void *gate)
{
    gate_leave(gate);
}

/* Wait until a request may run whose mount has a gate, or where some mounts have a high priority. */
static bool may_run(struct mount *mount, struct request *req)
{
    struct permit *permit = session_permit();

    if (mount->limits.priority == PRIORITY_HIGH)
        permit_exempt(permit);
    else if (permit_resume(permit))
        return false;
    if (!mount->gate)
        return true;
    if (gate_enter(mount->gate, permit))
        return false;
    arena_defer(&req->arena, leave_gate, mount->gate);
    return true;
}

/* Serve a request whose path begins with the mount's prefix. */
static int serve_at(struct mount *mount, struct request *req)
{
    req->log = mount->log;
    req->limits = &mount->handling;
    req->view.mount = mount_below_proxy(req, mount->script);
    req->view.path += mount->skip;
    if (!admit_body(mount, req))
        return 413;
    if (mount->is_special && !may_run(mount, req))
        return refuse_busy(req);
    return serve_within_limits(mount, req);
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

void route_http_init(const struct http_settings *s, const struct mount_limits *limits, struct http_hooks hooks)
{
    http_init(&(struct http_config){
        .handle = route_handle,
        .hooks = hooks,
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
        .pace = {limits->min_rate, limits->min_rate_after * 1000000},
    });
}
