/*
 * script.c: finds the script for a request.
 *
 * The path below the mount is followed from its beginning, a component at a time, to the first file that is not a
 * directory: that is the script, and the rest of the path is PATH_INFO. A path that leads to a directory gets its index
 * script, if there is one.
 *
 * No request leaves the root: ".." is refused everywhere, names that begin with a dot are not found, and the script
 * must lie in the root after all symlinks are resolved. That is checked by name and not on an open descriptor, since an
 * interpreter opens the script again by its name. Somebody who can change the root meanwhile can put scripts there
 * anyway.
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

/* Follow file, whose first root_size bytes are the root, to the first component that is not a directory. Returns its
 * length, and stores its stat in st; if all are directories, that of the last one; or -errno. */
static ssize_t walk_path(char *file, size_t root_size, struct stat *st)
{
    char *at = file + root_size;

    st->st_mode = S_IFDIR;
    while (*at && S_ISDIR(st->st_mode)) {
        char *end = strchrnul(at + 1, '/');
        char saved = *end;
        int err;

        if (at[1] == '.')
            return -ENOENT;
        *end = '\0';
        err = stat(file, st) < 0 ? -errno : 0;
        *end = saved;
        if (err)
            return err;
        at = end;
    }
    return at - file;
}

/* Returns the interpreter for the extension of this file, or NULL. */
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

/* Whether file is below the root after symlinks are resolved. */
static bool is_below_root(const struct cgi *cgi, const char *file)
{
    char real[PATH_MAX];
    size_t size = strlen(cgi->dir);

    return realpath(file, real) && !strncmp(real, cgi->dir, size) && real[size] == '/';
}

/* Returns 0 if the script may be run; or the status to answer with, logged. */
static int check_script(const struct cgi *cgi, const struct sl_request *req, const struct script *script)
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

/* Redirect to the same target with a slash at the end of its path, so that relative links of the index script work. The
 * location is relative too, since behind a proxy the client may see the target below another path; "./" keeps a colon
 * in it from being taken for the end of a scheme. Returns the result of sl_module.handle. */
static int redirect_to_directory(struct sl_request *req)
{
    const char *target = req->target;
    size_t end = strcspn(target, "?"), start = end;

    while (start > 0 && target[start - 1] != '/')
        start--;
    sl_header(req, "Location", sl_printf(req, "./%.*s/%s", (int)(end - start), target + start, target + end));
    return sl_reply(req, 301, NULL, "", 0);
}

/* The path names a directory: fill in its index script. */
static int find_index_script(const struct cgi *cgi, struct sl_request *req, struct script *script)
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
        return redirect_to_directory(req);
    script->file = file;
    script->name = sl_printf(req, "%s%s%s", req->mount, req->path, cgi->index);
    script->info = "";
    return 0;
}

/* Returns the status for a path on which stat(2) failed. */
static int status_of_stat_error(const struct sl_request *req, const char *file, int error)
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
    int result = 0;

    if (has_dot_dot(req->path))
        return 404;
    size = walk_path(file, root_size, &st);
    if (size < 0)
        return status_of_stat_error(req, file, size);
    if (S_ISDIR(st.st_mode)) {
        result = find_index_script(cgi, req, script);
    } else if (S_ISREG(st.st_mode)) {
        script->file = sl_printf(req, "%.*s", (int)size, file);
        script->name = sl_printf(req, "%s%s", req->mount, script->file + root_size);
        script->info = file + size;
    } else {
        result = 404;
    }
    if (result || !script->file)
        return result;
    script->dir = sl_printf(req, "%.*s", (int)(strrchr(script->file, '/') - script->file), script->file);
    script->interpreter = find_interpreter(cgi, script->file);
    return check_script(cgi, req, script);
}
