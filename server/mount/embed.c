/*
 * embed.c: serves a module on a socket that a program has opened, beside or without a configuration.
 *
 * The program is syncless-python, or an application of the server that opens a port of its own. Its socket becomes an
 * endpoint with one mount, to which all requests go without a look at the routes. The limits are read as the section
 * [limits] of an otherwise empty configuration, so that keys, values and defaults are those of the server. In a process
 * that has no other configuration, HTTP is set up by this one.
 */
#include "mount/embed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "mount/loader.h"
#include "mount/route.h"
#include "settings/settings.h"

/* Record an error if the limit is one of connections: HTTP has been set up with those already. */
static void refuse_process_limit(struct conf *c, const char *key)
{
    for (const struct sl_option *option = http_options; option->name; option++)
        if (!strcmp(option->name, key))
            conf_error(c, (struct conf_place){0}, "\"%s\" holds for the whole process, which has been set up already",
                       key);
}

static struct conf *embed_read_limits(const struct sl_setting *limits)
{
    struct conf *c = conf_new(settings_sections);

    for (; limits && limits->key; limits++) {
        conf_set_key(c, "limits", "limits", limits->key, limits->value);
        if (http_is_ready())
            refuse_process_limit(c, limits->key);
    }
    return c;
}

/* Returns the errors of a configuration as text, to be freed. */
static char *embed_error_text(const struct conf *c)
{
    size_t size;
    char *text;
    FILE *out = open_memstream(&text, &size);

    conf_report(c, out);
    fclose(out);
    text[size - 1] = '\0'; /* the last line break */
    return text;
}

/* Find the limits of a service, and set HTTP up if that has not been done. Returns false and *why if a limit is wrong.
 */
static bool embed_prepare(const struct sl_service *service, struct mount_limits *limits, char **why)
{
    struct settings *settings = xcalloc(1, sizeof(*settings));
    struct conf *c = embed_read_limits(service->limits);
    bool good;

    settings_fill(settings, c);
    good = c->error_count == 0;
    *limits = settings->limits;
    if (good)
        settings_log_messages(c); /* warnings */
    if (good && !http_is_ready()) {
        route_http_init(&settings->http, limits, (struct http_hooks){0}); /* which keeps them, and the strings in c */
        return true;
    }
    if (!good)
        *why = embed_error_text(c);
    conf_free(c);
    free(settings);
    return good;
}

static struct mount *embed_mount(const struct sl_service *service, const struct sl_module *table,
                                 const struct mount_limits *limits)
{
    struct mount *mount = xcalloc(1, sizeof(*mount));

    *mount = (struct mount){
        .module = *table,
        .self = service->self,
        .ended = service->ended,
        .title = table->name,
        .host = "",
        .prefix = "",
        .script = "",
        .limits = *limits,
    };
    route_set_limits(mount);
    return mount;
}

/* The endpoint and its mount are small and never freed: the list of deadlines must stay. */
static void embed_unused(struct endpoint *endpoint)
{
    const struct mount *mount = endpoint->mount;

    if (mount->ended)
        mount->ended(mount->self);
}

struct endpoint *embed_open(const struct sl_service *service, char **why)
{
    char refused[LOADER_WHY_SIZE];
    struct endpoint *endpoint;
    struct mount_limits limits;
    struct sl_module table;

    if (loader_copy(&table, service->module, refused) < 0) {
        *why = xstrdup(refused);
        return NULL;
    }
    if (!table.handle) {
        *why = xstrdup("the module has no handle function");
        return NULL;
    }
    wait_revive();
    if (!embed_prepare(service, &limits, why))
        return NULL;
    endpoint = endpoint_open(service->fd, service->accepts ? &conn_handler : NULL);
    endpoint->scheme = service->tls ? "https" : "http";
    endpoint->mount = embed_mount(service, &table, &limits);
    endpoint->unused = embed_unused;
    return endpoint;
}

static void embed_plain_unused(struct endpoint *endpoint)
{
    endpoint_leave(endpoint->of);
}

struct endpoint *embed_plain(struct endpoint *of)
{
    struct endpoint *endpoint = endpoint_twin(of);

    endpoint->scheme = "http";
    endpoint->unused = embed_plain_unused;
    return endpoint;
}

void embed_connection(struct endpoint *endpoint, int fd, const struct sockaddr *peer)
{
    if (endpoint->closed) /* since the program accepted it */
        close(fd);
    else
        conn_open(endpoint, fd, peer);
}

void embed_close(struct endpoint *endpoint)
{
    if (endpoint->closed)
        return;
    endpoint_close(endpoint);
    http_close_idle(endpoint);
    endpoint_leave(endpoint);
}
