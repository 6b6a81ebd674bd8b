/*
 * privilege.c: umask, chroot, group, user and login environment of a worker.
 *
 * Only workers change: the master keeps what it needs to bind low ports and to open logs at a reload, and runs no code
 * of applications. The order matters. The groups of a user are looked up in files that a chroot may lack, so they come
 * first; groups and chroot need root, so the user comes last. Then we check that there is no way back, and that none
 * leads through the programs that the worker starts: no setuid bits, no capabilities.
 */
#include "process/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "coro/sanitize.h"
#include "log/log.h"
#include "process/sandbox/sandbox.h"

static int privilege_error(const char *what)
{
    int err = -errno;

    log_error("cannot %s: %m", what);
    return err;
}

/* Add the supplementary groups that are named. Returns 0, or -1 with errno. */
static int add_groups(const struct process_settings *s)
{
    int count = getgroups(0, NULL), result;
    gid_t *list;

    if (s->more_group_count == 0 || count < 0)
        return count < 0 ? -1 : 0;
    list = xmalloc(((size_t)count + s->more_group_count) * sizeof(*list));
    count = getgroups(count, list);
    memcpy(list + count, s->more_groups, s->more_group_count * sizeof(*list));
    result = setgroups((size_t)count + s->more_group_count, list);
    free(list);
    return result;
}

/* A user that is given by its number has the groups of its name. */
static int change_groups(const struct process_settings *s)
{
    if (s->has_group && (s->login ? initgroups(s->login, s->gid) : setgroups(1, &s->gid)))
        return privilege_error("set the groups of the worker");
    if (add_groups(s))
        return privilege_error("set the supplementary groups of the worker");
    return s->has_group && setresgid(s->gid, s->gid, s->gid) ? privilege_error("set the group of the worker") : 0;
}

/* Programs that the worker starts get no capabilities of ours, as a service manager may have given them. Those that the
 * worker has itself stay: without `user` somebody meant it to have them. */
static int drop_inherited_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) /* before Linux 4.3 */
        return privilege_error("drop the ambient capabilities of the worker");
    if (syscall(SYS_capget, &header, sets) < 0)
        return privilege_error("read the capabilities of the worker");
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
        sets[i].inheritable = 0;
    return syscall(SYS_capset, &header, sets) < 0 ? privilege_error("drop the capabilities of the worker") : 0;
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

static int change_user(const struct process_settings *s)
{
    int err = change_groups(s);

    if (!err && s->chroot && (chroot(s->chroot) || chdir("/")))
        err = privilege_error("change the root directory (chroot)");
    if (!err && s->user && setresuid(s->uid, s->uid, s->uid))
        err = privilege_error("set the user of the worker");
    if (!err && s->user && s->uid != 0 && setuid(0) == 0) {
        log_error("the worker can still become root");
        err = -EPERM;
    }
    if (!err && s->user)
        set_login_environment(s);
    return err;
}

int privilege_drop(const struct process_settings *s)
{
    int err;

    if (s->has_umask)
        umask(s->umask);
    err = change_user(s);
    if (!err)
        err = drop_inherited_capabilities();
    if (!err && s->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        err = privilege_error("forbid the worker to gain privileges (no-new-privileges)");
    if (!err)
        err = sandbox_enter(s);
    prctl(PR_SET_DUMPABLE,
          s->dumpable || sanitize_uses_ptrace()); /* last: the changes of ids and capabilities have set it */
    return err;
}
