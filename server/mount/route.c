/*
 * route.c: which instance serves a request.
 *
 * The longest prefix wins; of two of the same length, the one that names the host. Mounts are few, so a list sorted in
 * that order and searched from its start is as quick as anything, and a reader can say what it does.
 */
#include "mount/route.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "http/cancel.h"
#include "http/connection.h"

static struct mount **routes; /* sorted, ended by NULL */

static bool goes_before(const struct mount *a, const struct mount *b)
{
    size_t a_size = strlen(a->prefix), b_size = strlen(b->prefix);

    return a_size != b_size ? a_size > b_size : *a->host && !*b->host;
}

void route_init(struct mount *mounts)
{
    size_t count = 0, i;

    for (struct mount *m = mounts; m; m = m->next)
        count++;
    routes = xcalloc(count + 1, sizeof(*routes));
    count = 0;
    for (struct mount *m = mounts; m; m = m->next) {
        cancel_deadlines(&m->deadlines, m->limits.request_timeout);
        for (i = count++; i > 0 && goes_before(m, routes[i - 1]); i--)
            routes[i] = routes[i - 1];
        routes[i] = m;
    }
}

/* Compare a Host field, without its port, with a host of the configuration. */
static bool host_matches(const char *field, const char *host)
{
    size_t size = strlen(host);

    if (size == 0)
        return true;
    return !strncasecmp(field, host, size) && (field[size] == '\0' || field[size] == ':');
}

static bool prefix_matches(const char *path, const char *prefix, size_t size)
{
    return !strncmp(path, prefix, size) && (path[size] == '/' || path[size] == '\0');
}

/* Apply the limits of a mount. A body known to be too large is refused unread, and so is the rest of the connection. */
static bool admit(const struct mount *mount, struct request *req)
{
    req->body_limit = mount->limits.max_body_size;
    if (req->body_limit == 0 || req->view.length <= req->body_limit)
        return true;
    req->keep_alive = false;
    return false;
}

/* Cancel the handler, in its own way if it has one. */
static void cancel_handler(struct request *req)
{
    const struct mount *mount = req->mount;

    if (mount->module.cancel)
        mount->module.cancel(mount->self, &req->view, req->cancelled);
    else
        wait_cancel(req->coro, -ECANCELED);
}

static int run_handler(struct mount *mount, struct request *req)
{
    bool if_gone = mount->limits.on_disconnect == ON_DISCONNECT_CANCEL;
    struct wait_timeouts *deadlines = mount->limits.request_timeout ? &mount->deadlines : NULL;

    if (!deadlines && !if_gone)
        return mount->module.handle(mount->self, &req->view);
    req->mount = mount;
    cancel_start(req, deadlines, if_gone, cancel_handler);
    return cancel_stop(req, mount->module.handle(mount->self, &req->view));
}

/* Hand over a request whose path begins with the mount's prefix, which has that size. */
static int handle_at(struct mount *mount, struct request *req, size_t size)
{
    req->view.mount = mount->prefix;
    if (req->prefix)
        req->view.mount = arena_printf(&req->arena, "%s%s", req->prefix, mount->prefix);
    req->view.path += size;
    return admit(mount, req) ? run_handler(mount, req) : 413;
}

int route_handle(struct request *req)
{
    if (req->mount) /* the endpoint's only one */
        return handle_at(req->mount, req, 0);
    for (struct mount **m = routes; *m; m++) {
        size_t size = strlen((*m)->prefix);

        if (prefix_matches(req->view.path, (*m)->prefix, size) && host_matches(req->view.host, (*m)->host))
            return handle_at(*m, req, size);
    }
    return 404;
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
