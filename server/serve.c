/*
 * serve.c: HTTP set up as the configuration has it, or for a program that has none.
 *
 * A worker sets HTTP up once, for the listeners and mounts of its configuration. A program (syncless-python, or an
 * application that opens a port of its own beside the server's) brings a socket and what shall answer there: it gets a
 * mount which that listener's requests go to without a look at the routes. Where no worker has set HTTP up, it is done
 * then, from a configuration that is empty, so that the defaults are the same and stand in one place.
 */
#include "serve.h"

#include "arena.h"
#include "conf/conf.h"
#include "conf/settings.h"
#include "http/cancel.h"
#include "route.h"

void serve_init(const struct traffic_settings *t, void (*ended)(const struct request *req))
{
    http_init(&(struct http_config){
        .handle = route_handle,
        .ended = ended,
        .proxies = &t->proxies,
        .max_concurrency = (size_t)t->max_concurrency,
        .queue_timeout = t->queue_timeout,
        .max_connections = (size_t)t->max_connections,
        .max_request_line = (size_t)t->max_request_line,
        .max_header_size = (size_t)t->max_header_size,
        .max_headers = (size_t)t->max_headers,
        .header_timeout = t->header_timeout,
        .keepalive_timeout = t->keepalive_timeout,
        .body_timeout = t->body_timeout,
        .write_timeout = t->write_timeout,
    });
}

static void init_by_default(void)
{
    struct settings *settings = xcalloc(1, sizeof(*settings)); /* for good, as the strings they are made of */

    settings_fill(settings, conf_new());
    serve_init(&settings->traffic, NULL);
}

static struct mount *mount_new(const struct sl_service *service)
{
    struct mount *mount = xcalloc(1, sizeof(*mount));

    *mount = (struct mount){
        .module = service->module,
        .self = service->self,
        .title = service->module->name,
        .host = "",
        .prefix = "",
        .limits = {.request_timeout = service->request_timeout, .max_body_size = service->max_body_size},
    };
    cancel_deadlines(&mount->deadlines, mount->limits.request_timeout);
    return mount;
}

struct listener *serve_open(const struct sl_service *service)
{
    struct listener *listener;

    if (!http_is_ready())
        init_by_default();
    listener = service->accepts ? listener_open(service->fd, false) : listener_make(service->fd);
    listener->scheme = service->tls ? "https" : "http";
    listener->mount = mount_new(service);
    return listener;
}

void serve_close(struct listener *listener)
{
    listener_close(listener);
    http_close_idle(listener);
}
