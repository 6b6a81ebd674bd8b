/*
 * landlock.c: confine a process to some folders, by Landlock of Linux.
 *
 * Landlock (Linux 5.13) has no functions in libc, and the headers of an older kernel do not know the rights of later
 * versions, so these are defined here. Descriptors that are open already are not affected: logs, connections, and the
 * socket to the master.
 */
#include "process/sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXECUTE   LANDLOCK_ACCESS_FS_EXECUTE
#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ      (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define TRUNCATE  (UINT64_C(1) << 14) /* since version 3 */
#define REFER     (UINT64_C(1) << 13) /* since version 2: to link and rename from one folder to another */

#define WRITE_FILE (LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE)
#define WRITE                                                                                                          \
    (WRITE_FILE | REFER | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                             \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                        \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                     \
     LANDLOCK_ACCESS_FS_MAKE_SYM)

/* Returns the version that the kernel has, or a number below 1. */
static long landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool landlock_is_there(void)
{
    return landlock_version() > 0;
}

/* Returns the rights that this kernel can restrict. */
static uint64_t known_rights(void)
{
    long version = landlock_version();

    return (EXECUTE | READ | WRITE) & ~(version < 2 ? REFER : 0) & ~(version < 3 ? TRUNCATE : 0);
}

int landlock_begin(void)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = known_rights()};
    long fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);

    return fd < 0 ? -errno : (int)fd;
}

static uint64_t rights_of(unsigned uses, bool is_folder)
{
    uint64_t rights = (uses & LANDLOCK_READ ? READ : 0) | (uses & LANDLOCK_WRITE ? WRITE : 0) |
                      (uses & LANDLOCK_EXECUTE ? EXECUTE : 0);

    return rights & known_rights() & (is_folder ? ~UINT64_C(0) : EXECUTE | READ_FILE | WRITE_FILE);
}

int landlock_allow(int rules, const char *path, unsigned uses)
{
    struct landlock_path_beneath_attr rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat st;
    int err = 0;

    if (rule.parent_fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
    if (fstat(rule.parent_fd, &st) < 0)
        err = -errno;
    rule.allowed_access = rights_of(uses, S_ISDIR(st.st_mode));
    if (!err && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        err = -errno;
    close(rule.parent_fd);
    return err;
}

int landlock_enforce(int rules)
{
    int err = syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;

    close(rules);
    return err;
}
