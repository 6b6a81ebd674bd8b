/*
 * privilege.c: umask, chroot, group, user and login environment of a worker.
 *
 * Only workers change: the master keeps what it needs to bind low ports and to open logs at a reload, and runs no code
 * of applications. The order matters. The groups of a user are looked up in files that a chroot may lack, so they come
 * first; groups and chroot need root, so the user comes last. Then we check that there is no way back.
 */
#include "process/privilege.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/log.h"

static int privilege_error(const char *what)
{
    int err = -errno;

    log_error("cannot %s: %m", what);
    return err;
}

static int change_groups(const struct process_settings *s)
{
    if (s->user ? initgroups(s->user, s->gid) : setgroups(1, &s->gid))
        return privilege_error("set the groups of the worker");
    return setresgid(s->gid, s->gid, s->gid) ? privilege_error("set the group of the worker") : 0;
}

static void set_or_unset(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

/* What the master was started with is another user's, as a rule root's: libraries would look for their files there. */
static void set_login_environment(const struct process_settings *s)
{
    set_or_unset("HOME", s->home);
    set_or_unset("USER", s->login);
    set_or_unset("LOGNAME", s->login);
}

int privilege_drop(const struct process_settings *s)
{
    int err = 0;

    if (s->has_umask)
        umask(s->umask);
    if (s->has_group)
        err = change_groups(s);
    if (!err && s->chroot && (chroot(s->chroot) || chdir("/")))
        err = privilege_error("change the root directory (chroot)");
    if (!err && s->user && setresuid(s->uid, s->uid, s->uid))
        err = privilege_error("set the user of the worker");
    if (!err && s->user && s->uid != 0 && setuid(0) == 0) {
        log_error("the worker can still become root");
        err = -EPERM;
    }
    if (err || !s->user)
        return err;
    prctl(PR_SET_DUMPABLE, 1); /* setresuid took core files and access to /proc/self from us */
    set_login_environment(s);
    return err;
}
