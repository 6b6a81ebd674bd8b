/*
 * check_start.c: whether a server could start with a configuration, for -t.
 *
 * As nginx does, -t finds the commonest mistakes of a deployment: a directory that is not there, or that its user may
 * not enter. Nothing is created, and what a server that runs has open is no mistake. Modules say by SL_EXISTS which of
 * their paths must be there; these are looked at as `user`, and below `chroot`. What else a module needs is found by
 * its own check; not in a chroot, since it opens files by their names there.
 */
#include "main/check_start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/access.h"
#include "conf/options.h"
#include "log/log_target.h"

static const char *parent_of(struct conf *c, const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? "/" : arena_strndup(&c->arena, path, (size_t)(slash - path));
}

/* A file that is opened for writing, or, if fresh, made anew beside the old one. */
static void check_file(struct conf *c, const struct conf_section *s, const char *key, const char *path, bool fresh)
{
    const char *parent = parent_of(c, path);
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        conf_value_error(c, s, key, 0, "%s is a directory", path);
    else if (!fresh && access(path, F_OK) == 0 && access(path, W_OK) < 0)
        conf_value_error(c, s, key, 0, "cannot write to %s: %s", path, strerror(errno));
    else if ((fresh || access(path, F_OK) < 0) && access(parent, W_OK | X_OK) < 0)
        conf_value_error(c, s, key, 0, "cannot create files in %s: %s", parent, strerror(errno));
}

static void check_log(struct conf *c, struct conf_section *s, const char *key, const char *target)
{
    if (target && log_target_is_file(target))
        check_file(c, s, key, target, false);
}

/* Returns the section that gives the log of a mount. */
static struct conf_section *giver_of_log(struct conf *c, const struct mount *m)
{
    struct conf_section *mount = conf_section_find(c, m->title), *module = conf_section_find(c, mount->name);

    if (conf_gives(mount, "access-log"))
        return mount;
    return module && conf_gives(module, "access-log") ? module : conf_section_find(c, "log");
}

static void check_logs(const struct generation *g)
{
    struct conf_section *log = conf_section_find(g->conf, "log");

    check_log(g->conf, log, "error-log", g->settings.log.error_log);
    check_log(g->conf, log, "access-log", g->settings.log.access->target);
    check_log(g->conf, log, "slow-log", g->settings.log.slow->target);
    for (const struct mount *m = g->mounts; m; m = m->next)
        if (m->log)
            check_log(g->conf, giver_of_log(g->conf, m), "access-log", m->log->target);
}

static void check_control(const struct generation *g, struct conf_section *server)
{
    const char *path = g->settings.process.control, *parent = path ? parent_of(g->conf, path) : NULL;
    struct stat st;

    if (path && access(parent, W_OK | X_OK) < 0)
        conf_value_error(g->conf, server, "control", 0, "cannot create a socket in %s: %s", parent, strerror(errno));
    else if (path && lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        conf_value_error(g->conf, server, "control", 0, "there is a file of that name, which is no socket");
}

/* Returns whether there is a directory for the workers. */
static bool check_chroot(const struct generation *g, struct conf_section *server)
{
    const char *root = g->settings.process.chroot;
    struct stat st;
    int err = 0;

    if (root && stat(root, &st) < 0)
        err = errno;
    else if (root && !S_ISDIR(st.st_mode))
        err = ENOTDIR;
    if (err)
        conf_value_error(g->conf, server, "chroot", 0, "cannot open %s: %s", root, strerror(err));
    return err == 0;
}

static void check_binds(const struct generation *g, struct conf_section *server)
{
    for (size_t i = 0; i < g->settings.bind_count; i++) {
        const struct bind_address *address = &g->settings.binds[i];
        const char *path = address->sa.any.sa_family == AF_UNIX ? address->sa.un.sun_path : "", *advice;
        const char *parent = *path ? parent_of(g->conf, path) : NULL;
        int err = parent && access(parent, W_OK | X_OK) < 0 ? -errno : 0;

        if (err) {
            conf_value_error(g->conf, server, "bind", i, "cannot create a socket in %s: %s", parent, strerror(-err));
            continue;
        }
        err = listen_check(address, &advice);
        if (err)
            conf_value_error(g->conf, server, "bind", i, "cannot listen there: %s%s", strerror(-err), advice);
    }
}

/* ---- modules ---- */

/* Become the user of the workers, as far as looking at files goes. Returns whether that was possible. */
static bool become_worker(const struct process_settings *s)
{
    if (!s->has_group)
        return true;
    return (!s->login || initgroups(s->login, s->gid) == 0) && setegid(s->gid) == 0 &&
           (!s->user || seteuid(s->uid) == 0);
}

static void check_path(const struct generation *g, const struct mount *m, const struct sl_option *o, const char *path)
{
    const char *root = g->settings.process.chroot, *seen;
    struct conf_section *mount = conf_section_find(g->conf, m->title),
                        *module = conf_section_find(g->conf, mount->name);
    struct stat st;
    int err = 0;

    if (!path)
        return;
    seen = root ? arena_printf(&g->conf->arena, "%s%s", root, path) : path;
    if (stat(seen, &st) < 0 || faccessat(AT_FDCWD, seen, S_ISDIR(st.st_mode) ? X_OK : R_OK, AT_EACCESS) < 0)
        err = errno;
    else if (o->flags & SL_FOLDER && !S_ISDIR(st.st_mode))
        err = ENOTDIR;
    if (err)
        conf_value_error(g->conf, conf_gives(mount, o->name) || !module ? mount : module, o->name, 0,
                         "cannot open %s: %s", seen, strerror(err));
}

/* Workers make files there. */
static void check_flight_dir(const struct generation *g, struct conf_section *server)
{
    const char *root = g->settings.process.chroot, *dir = g->settings.process.flight_dir;

    if (dir && root)
        dir = arena_printf(&g->conf->arena, "%s%s", root, dir);
    if (dir && faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
        conf_value_error(g->conf, server, "flight-recorder-dir", 0, "cannot create files in %s: %s", dir,
                         strerror(errno));
}

static void check_mount(const struct generation *g, const struct mount *m)
{
    size_t errors = g->conf->error_count;

    for (const struct sl_option *o = m->module.options; o && o->name; o++)
        if (o->flags & SL_EXISTS && o->kind == SL_PATH)
            check_path(g, m, o, *(const char *const *)((const char *)m->self + o->offset));
    if (g->conf->error_count > errors || !m->module.check || g->settings.process.chroot || !m->module.check(m->self))
        return;
    conf_error(g->conf, conf_section_find(g->conf, m->title)->place, "[%s] cannot start", m->title);
}

void check_start(const struct generation *g)
{
    struct conf_section *server = conf_section_find(g->conf, "server");
    uid_t uid = geteuid();
    gid_t gid = getegid();

    check_logs(g);
    if (g->settings.process.pidfile)
        check_file(g->conf, server, "pidfile", g->settings.process.pidfile, true);
    check_binds(g, server);
    check_control(g, server);
    if (!check_chroot(g, server))
        return;
    if (!become_worker(&g->settings.process))
        conf_value_error(g->conf, server, "user", 0, "cannot become this user: %s", strerror(errno));
    check_flight_dir(g, server);
    for (const struct mount *m = g->mounts; m; m = m->next)
        check_mount(g, m);
    if (seteuid(uid) < 0 || setegid(gid) < 0) /* --check=app goes on, and takes the groups of the user again */
        conf_value_error(g->conf, server, "user", 0, "cannot become root again: %s", strerror(errno));
}
