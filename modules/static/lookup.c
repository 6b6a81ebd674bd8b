/*
 * lookup.c: from the path of a request to what is answered: a file, a folder's index or listing, a redirect, a refusal.
 *
 * A path with a slash at its end names a folder, and its index is tried first, since that is what is nearly always
 * there. One without, that turns out to be a folder, is redirected to the form with the slash: otherwise relative links
 * in its index would lead astray.
 */
#include "lookup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"
#include "listing.h"
#include "reply.h"

/* The status for a file that could not be opened. */
static int refuse(const struct site *site, const struct sl_request *req, const char *path, int rc)
{
    switch (-rc) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return 404;
    case EXDEV:
        sl_log(req, SL_WARN, "static: a symbolic link leads from %s/%s out of the root, and follow-symlinks is off",
               site->folder, path);
        return 403;
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENXIO: /* a socket, or a device that is not there */
    case ENODEV:
    case EOPNOTSUPP:
        sl_log(req, SL_WARN, "static: cannot serve %s/%s: %s", site->folder, path, strerror(-rc));
        return 403;
    default:
        sl_log(req, SL_ERROR, "static: cannot open %s/%s: %s (errno %d)", site->folder, path, strerror(-rc), -rc);
        return 500;
    }
}

static char *encode(struct sl_request *req, const char *path)
{
    return escape_url(sl_alloc(req, ESCAPE_URL_GROWTH * strlen(path) + 1), path);
}

/* Redirect to the same path with a slash at its end. There is one slash after the mount, however many the client sent:
 * "//host/" would lead to another host. */
static int redirect(struct sl_request *req)
{
    const char *path = req->path + strspn(req->path, "/");
    const char *location = sl_printf(req, "%s/%s%s%s%s", encode(req, req->mount), encode(req, path), *path ? "/" : "",
                                     *req->query ? "?" : "", req->query);
    int rc = sl_header(req, "Location", location);

    return rc ? rc : reply_text(req, 301, sl_printf(req, "Moved to %s\n", location));
}

static int serve_entry(struct site *site, struct sl_request *req, const char *path)
{
    struct stat st;
    int fd = root_open(&site->root, path, &st);

    if (fd < 0)
        return refuse(site, req, path, fd);
    if (S_ISREG(st.st_mode))
        return reply_file(site, req, path, fd, &st);
    close(fd);
    return redirect(req);
}

/* Open the first index file of the folder that there is; *path becomes its path. -ENOENT if there is none. */
static int open_index(struct site *site, struct sl_request *req, const char **path, struct stat *st)
{
    const char *folder = *path;

    for (const char *const *name = site->index; name && *name; name++) {
        int fd;

        *path = sl_printf(req, "%s%s", folder, *name);
        fd = root_open(&site->root, *path, st);
        if (fd >= 0 && S_ISREG(st->st_mode))
            return fd;
        if (fd >= 0)
            close(fd);
        else if (fd != -ENOENT && fd != -ENOTDIR)
            return fd;
    }
    *path = folder;
    return -ENOENT;
}

static int serve_folder(struct site *site, struct sl_request *req, const char *path)
{
    struct stat st;
    int fd = open_index(site, req, &path, &st);

    if (fd >= 0)
        return reply_file(site, req, path, fd, &st);
    if (fd == -ENOENT)
        fd = root_open(&site->root, path, &st);
    if (fd < 0)
        return refuse(site, req, path, fd);
    if (site->listing)
        return listing_send(site, req, fd);
    close(fd);
    sl_log(req, SL_WARN, "static: %s/%s has no index file, and listing is off", site->folder, path);
    return 403;
}

int lookup_serve(struct site *site, struct sl_request *req)
{
    const char *path = req->path;
    size_t size = strlen(path);

    if (!root_allows(path, site->hidden))
        return 404;
    if (size == 0)
        return redirect(req);
    if (path[size - 1] == '/')
        return serve_folder(site, req, path + strspn(path, "/"));
    return serve_entry(site, req, path + strspn(path, "/"));
}
