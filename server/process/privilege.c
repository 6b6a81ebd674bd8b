/*
 * privilege.c: umask, chroot, group and user.
 *
 * Only workers change: the master keeps what it needs to bind low ports and to open logs at a reload, and runs no code
 * of applications. The order matters: the groups of a user stand in files that a chroot may not have, so they come
 * first; both need root, so the user goes last, and then it is made sure that there is no way back.
 */
#include "process/privilege.h"

#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/log.h"

static int fail(const char *what)
{
    int err = -errno;

    log_error("cannot %s: %m", what);
    return err;
}

static int change_groups(const struct process_settings *s)
{
    if (s->user ? initgroups(s->user, s->gid) : setgroups(1, &s->gid))
        return fail("set the groups of the worker");
    return setresgid(s->gid, s->gid, s->gid) ? fail("set the group of the worker") : 0;
}

int privilege_drop(const struct process_settings *s)
{
    int err = 0;

    if (s->has_umask)
        umask(s->umask);
    if (s->has_group)
        err = change_groups(s);
    if (!err && s->chroot && (chroot(s->chroot) || chdir("/")))
        err = fail("change the root directory (chroot)");
    if (!err && s->user && setresuid(s->uid, s->uid, s->uid))
        err = fail("set the user of the worker");
    if (!err && s->user && s->uid != 0 && setuid(0) == 0) {
        log_error("the worker could become root again");
        err = -EPERM;
    }
    if (!err && s->user)
        prctl(PR_SET_DUMPABLE, 1); /* with the user the kernel has taken core files and /proc/self from us */
    return err;
}
