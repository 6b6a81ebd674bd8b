/*
 * filter.c: the modules that stand in front of the mounts and see each request first.
 *
 * A section whose module has a filter function is asked about each request below its prefix, whatever mount serves
 * that: first the one with the shortest prefix, of equal ones the first in the file.
 *
 * A filter guards what lies below a prefix, and mounts differ in what they make of a path: static files ignore repeated
 * slashes, applications may resolve "..". So a filter is asked if the path is below its prefix either as it is or
 * without repeated slashes and dot segments, and it sees the latter.
 */
#include "mount/filter.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "http/request/body.h"
#include "http/response/response.h"

static struct mount **filters; /* in the order in which they run, ended by NULL; NULL if there are none */

bool filter_init(struct mount *mounts)
{
    size_t count = 0, i;

    for (struct mount *m = mounts; m; m = m->next)
        count += m->module.filter != NULL;
    filters = count ? xcalloc(count + 1, sizeof(struct mount *)) : NULL;
    count = 0;
    for (struct mount *m = mounts; m; m = m->next) {
        if (!m->module.filter)
            continue;
        for (i = count++; i > 0 && strlen(m->prefix) < strlen(filters[i - 1]->prefix); i--)
            filters[i] = filters[i - 1];
        filters[i] = m;
    }
    return count > 0;
}

/* Remove the last segment from the path that ends at end. Returns its new end. */
static char *drop_segment(const char *path, char *end)
{
    while (end > path && *--end != '/')
        ;
    return end;
}

/* Returns path without repeated slashes and dot segments, in the memory of the request. */
static const char *clean_path(struct request *req, const char *path)
{
    char *clean, *end;

    if (!strstr(path, "//") && !strstr(path, "/."))
        return path;
    clean = end = arena_alloc(&req->arena, strlen(path) + 2);
    while (*path) {
        const char *segment = path + strspn(path, "/");
        size_t size = strcspn(segment, "/");
        bool is_name = size > 2 || strncmp(segment, "..", size) != 0;

        if (is_name)
            end = mempcpy(mempcpy(end, "/", 1), segment, size);
        else if (size == 2)
            end = drop_segment(clean, end);
        if (!is_name && !segment[size]) /* "/a/", "/a/." and "/a/b/.." name a folder */
            *end++ = '/';
        path = segment + size;
    }
    *end = '\0';
    return clean;
}

/* The path that a filter sees of a request, below its own prefix; NULL if it is not asked. */
static const char *path_for_filter(const struct mount *filter, const struct request *req, const char *path,
                                   const char *clean)
{
    if (!mount_has_host(filter, req->view.host))
        return NULL;
    if (mount_has_path(filter, clean))
        return clean + strlen(filter->prefix);
    return mount_has_path(filter, path) ? path + strlen(filter->prefix) : NULL;
}

/* What a filter must leave for the handler. */
static bool is_untouched(const struct request *req)
{
    return !req->head_sent && body_is_unread(req);
}

static int filter_call(struct mount *filter, struct request *req)
{
    int result;

    req->mount = filter;
    req->view.mount = mount_prefix(filter, req);
    req->view.local = NULL;
    result = filter->module.filter(filter->self, &req->view);
    if (result > 0)
        response_keep(req);
    if (result != SL_PASS)
        return result;
    if (req->cancelled)
        return -ECANCELED;
    if (is_untouched(req))
        return SL_PASS;
    request_log(req, LOG_LEVEL_ERROR, "[%s] has begun to answer the request, or to read its body, and let it pass",
                filter->title);
    return 500;
}

int filter_run(struct mount *mount, struct request *req)
{
    const char *below = req->view.path, *prefix = req->view.mount;
    const char *path = below - strlen(mount->prefix), *clean = clean_path(req, path);
    int result = SL_PASS;

    for (struct mount **f = filters; *f && result == SL_PASS; f++) {
        const char *seen = path_for_filter(*f, req, path, clean);

        if (!seen)
            continue;
        req->view.path = seen;
        result = filter_call(*f, req);
    }
    if (result != SL_PASS)
        return result;
    req->mount = mount;
    req->view.mount = prefix;
    req->view.path = below;
    req->view.local = NULL;
    return SL_PASS;
}
