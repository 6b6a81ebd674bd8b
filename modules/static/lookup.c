/*
 * lookup.c: what the path of a request is answered with: a file, the index or listing of a folder, a redirect or an
 * error.
 *
 * A path that ends with a slash names a folder. Its index file is tried before the folder itself is opened, since
 * nearly every folder has one. A path without the slash that turns out to be a folder is redirected to the path with
 * it: otherwise the relative links of the index page would be wrong.
 */
#include "lookup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"
#include "listing.h"
#include "reply.h"

/* Returns the status for a file that could not be opened, and logs why where that is not obvious. */
static int status_of_open_error(const struct site *site, const struct sl_request *req, const char *path, int err)
{
    switch (-err) {
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
    case ENXIO: /* a socket, or a device that does not exist */
    case ENODEV:
    case EOPNOTSUPP:
        sl_log(req, SL_WARN, "static: cannot serve %s/%s: %s", site->folder, path, strerror(-err));
        return 403;
    default:
        sl_log(req, SL_ERROR, "static: cannot open %s/%s: %s (errno %d)", site->folder, path, strerror(-err), -err);
        return 500;
    }
}

static char *encode_path(struct sl_request *req, const char *path)
{
    return escape_url(sl_alloc(req, ESCAPE_URL_GROWTH * strlen(path) + 1), path);
}

/* Redirect to the same path with a slash at its end. One slash follows the mount, however many the client sent: a
 * Location of "//host/" would lead to another host. */
static int redirect_to_folder(struct sl_request *req)
{
    const char *path = req->path + strspn(req->path, "/");
    const char *location = sl_printf(req, "%s/%s%s%s%s", encode_path(req, req->mount), encode_path(req, path),
                                     *path ? "/" : "", *req->query ? "?" : "", req->query);
    int err = sl_header(req, "Location", location);

    return err ? err : reply_text(req, 301, sl_printf(req, "Moved to %s\n", location));
}

static int serve_file_or_redirect(struct site *site, struct sl_request *req, const char *path)
{
    struct stat st;
    int fd = root_open(&site->root, path, &st);

    if (fd < 0)
        return status_of_open_error(site, req, path, fd);
    if (S_ISREG(st.st_mode))
        return reply_file(site, req, path, fd, &st);
    close(fd);
    return redirect_to_folder(req);
}

/* Open the first index file that the folder has, and make *path its path. Returns a descriptor; -ENOENT if there is
 * none. */
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
        return status_of_open_error(site, req, path, fd);
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
        return redirect_to_folder(req);
    if (path[size - 1] == '/')
        return serve_folder(site, req, path + strspn(path, "/"));
    return serve_file_or_redirect(site, req, path + strspn(path, "/"));
}
