/*
 * script.c: which file answers a request.
 *
 * The path below the mount is walked from its beginning, a component at a time, until something that is no directory
 * is met: that is the script, and what is left of the path is PATH_INFO. A path that ends on a directory gets its
 * index script, if there is such a thing.
 *
 * No request leaves the root: ".." is refused wherever it stands, a name that begins with a dot is neither script nor
 * directory, and what was found must still lie in the root when all symlinks are resolved. That check is made on the
 * name and not on an open descriptor, since an interpreter opens its script by name again; who can change the root
 * meanwhile can put scripts there anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgi.h"

static bool has_dot_dot(const char *path)
{
    for (const char *s = path; (s = strstr(s, "/..")); s += 3)
        if (!s[3] || s[3] == '/')
            return true;
    return false;
}

/* Walk file, of which the first root_size bytes are the root, down to the first thing that is no directory. Returns its
 * length, and what it is in st; a directory if there is nothing else; or -errno. */
static ssize_t walk(char *file, size_t root_size, struct stat *st)
{
    char *at = file + root_size;

    st->st_mode = S_IFDIR;
    while (*at && S_ISDIR(st->st_mode)) {
        char *end = strchrnul(at + 1, '/');
        char saved = *end;
        int rc;

        if (at[1] == '.')
            return -ENOENT;
        *end = '\0';
        rc = stat(file, st) < 0 ? -errno : 0;
        *end = saved;
        if (rc)
            return rc;
        at = end;
    }
    return at - file;
}

/* The interpreter for this file, by its extension, or NULL. */
static const char *find_interpreter(const struct cgi *cgi, const char *file)
{
    const char *ext = strrchr(strrchr(file, '/'), '.');

    for (const char *const *s = cgi->interpreters; ext && s && *s; s++) {
        const char *program = strchr(*s, '=');
        size_t size = program - *s;

        if (strlen(ext) == size && !memcmp(*s, ext, size))
            return program + 1;
    }
    return NULL;
}

/* Whether file is in the root, symlinks resolved. */
static bool is_below_root(const struct cgi *cgi, const char *file)
{
    char real[PATH_MAX];
    size_t size = strlen(cgi->dir);

    return realpath(file, real) && !strncmp(real, cgi->dir, size) && real[size] == '/';
}

/* Whether the script may be run: 0, or the status that says why not. */
static int check(const struct cgi *cgi, const struct sl_request *req, const struct script *script)
{
    if (!cgi->follow_symlinks && !is_below_root(cgi, script->file)) {
        sl_log(req, SL_WARN, "cgi: %s: a symlink leads out of %s (follow-symlinks = yes allows it)", script->file,
               cgi->root);
        return 403;
    }
    if (!strncmp(strrchr(script->file, '/'), "/nph-", 5)) {
        sl_log(req, SL_ERROR, "cgi: %s: scripts that write the whole HTTP response (nph-) are not supported",
               script->file);
        return 501;
    }
    if (faccessat(AT_FDCWD, script->file, script->interpreter ? R_OK : X_OK, AT_EACCESS) < 0) {
        sl_log(req, SL_WARN, "cgi: %s: %s", script->file,
               script->interpreter ? "the server may not read it"
                                   : "not executable, and no interpreter is set for its extension");
        return 403;
    }
    return 0;
}

/* Send the client to the same target with a slash at the end of its path, so that relative links of the index script
 * work. The location is relative too, since the client may see the target below another path, that of a proxy; "./"
 * keeps a colon in it from looking like the end of a scheme. Returns what handle shall return. */
static int redirect_to_slash(struct sl_request *req)
{
    const char *target = req->target;
    size_t end = strcspn(target, "?"), start = end;

    while (start > 0 && target[start - 1] != '/')
        start--;
    sl_header(req, "Location", sl_printf(req, "./%.*s/%s", (int)(end - start), target + start, target + end));
    return sl_reply(req, 301, NULL, "", 0);
}

/* The path names a directory: fill in its index script. */
static int find_index(const struct cgi *cgi, struct sl_request *req, struct script *script)
{
    size_t size = strlen(req->path);
    bool has_slash = size && req->path[size - 1] == '/';
    char *file;
    struct stat st;

    if (!cgi->index)
        return 404;
    file = sl_printf(req, "%s%s%s%s", cgi->dir, req->path, has_slash ? "" : "/", cgi->index);
    if (stat(file, &st) < 0 || !S_ISREG(st.st_mode))
        return 404;
    if (!has_slash)
        return redirect_to_slash(req);
    script->file = file;
    script->name = sl_printf(req, "%s%s%s", req->mount, req->path, cgi->index);
    script->info = "";
    return 0;
}

/* The status for a path on which stat(2) failed. */
static int missing(const struct sl_request *req, const char *file, int error)
{
    if (error == -ENOENT || error == -ENOTDIR || error == -ENAMETOOLONG)
        return 404;
    sl_log(req, SL_WARN, "cgi: %s: %s", file, strerror(-error));
    return error == -EACCES ? 403 : 404;
}

int script_find(const struct cgi *cgi, struct sl_request *req, struct script *script)
{
    size_t root_size = strlen(cgi->dir);
    char *file = sl_printf(req, "%s%s", cgi->dir, req->path);
    struct stat st;
    ssize_t size;
    int rc = 0;

    if (has_dot_dot(req->path))
        return 404;
    size = walk(file, root_size, &st);
    if (size < 0)
        return missing(req, file, size);
    if (S_ISDIR(st.st_mode)) {
        rc = find_index(cgi, req, script);
    } else if (S_ISREG(st.st_mode)) {
        script->file = sl_printf(req, "%.*s", (int)size, file);
        script->name = sl_printf(req, "%s%s", req->mount, script->file + root_size);
        script->info = file + size;
    } else {
        rc = 404;
    }
    if (rc || !script->file)
        return rc;
    script->dir = sl_printf(req, "%.*s", (int)(strrchr(script->file, '/') - script->file), script->file);
    script->interpreter = find_interpreter(cgi, script->file);
    return check(cgi, req, script);
}
