/*
 * filter.c: the modules that stand in front of the mounts and see each request first.
 *
 * A section whose module has a filter function is asked about each request below its prefix, whatever mount serves
 * that: first the one with the shortest prefix, of equal ones the first in the file.
 *
 * A filter guards what lies below a prefix, and mounts differ in what they make of a path: static files ignore repeated
 * slashes, applications may resolve ".." in one of two ways. So a filter is asked if the path is below its prefix
 * either as it is or without repeated slashes and dot segments, and it sees the latter.
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

/* Returns path without dot segments, in the memory of the request. Repeated slashes become one before that; or else, as
 * in RFC 3986 section 5.2.4, they stay, and ".." removes the empty segment between two of them. */
static const char *resolve_path(struct request *req, const char *path, bool keep_empty)
{
    char *resolved = arena_alloc(&req->arena, strlen(path) + 2), *end = resolved;

    while (*path) {
        const char *segment = path + (keep_empty ? 1 : strspn(path, "/"));
        size_t size = strcspn(segment, "/");
        bool is_name = size > 2 || strncmp(segment, "..", size) != 0 || (keep_empty && *segment == '/');

        if (is_name)
            end = mempcpy(mempcpy(end, "/", 1), segment, size);
        else if (size == 2)
            end = drop_segment(resolved, end);
        if (!is_name && !segment[size]) /* "/a/", "/a/." and "/a/b/.." name a folder */
            *end++ = '/';
        path = segment + size;
    }
    *end = '\0';
    return resolved;
}

/* What mounts may make of a path. A filter is asked if one of these is below its prefix. */
enum { FORMS = 3 };

static void find_forms(struct request *req, const char *path, const char *forms[FORMS])
{
    bool has_slashes = strstr(path, "//") != NULL, has_dots = strstr(path, "/.") != NULL;

    forms[0] = has_slashes || has_dots ? resolve_path(req, path, false) : path;
    forms[1] = has_slashes && has_dots ? resolve_path(req, resolve_path(req, path, true), false) : forms[0];
    forms[2] = path;
}

/* The path that a filter sees of a request, below its own prefix; NULL if it is not asked. */
static const char *path_for_filter(const struct mount *filter, const struct request *req, const char *const *forms)
{
    if (!mount_has_host(filter, req->view.host))
        return NULL;
    for (int i = 0; i < FORMS; i++)
        if (mount_has_path(filter, forms[i]))
            return forms[i] + strlen(filter->prefix);
    return NULL;
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
    req->view.mount = mount_below_proxy(req, filter->prefix);
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
    const char *forms[FORMS];
    int result = SL_PASS;

    find_forms(req, below - mount->skip, forms);
    for (struct mount **f = filters; *f && result == SL_PASS; f++) {
        const char *seen = path_for_filter(*f, req, forms);

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
