/*
 * metadata.c: calls on names of files: by what the file system has cost lately.
 *
 * Each is the system call that libc makes for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/real.h"
#include "libc/disk/disk.h"

#define BY_PATH(AT, PATH, NUMBER, ...) disk_call_path((AT), (PATH), (struct disk_call){(NUMBER), {__VA_ARGS__}})

#define P(pointer) ((long)(pointer))

/* ---- looking ---- */

int fstatat(int at, const char *restrict path, struct stat *restrict st, int flags)
{
    return (int)BY_PATH(at, path, SYS_newfstatat, at, P(path), P(st), flags);
}

int stat(const char *restrict path, struct stat *restrict st)
{
    return fstatat(AT_FDCWD, path, st, 0);
}

int lstat(const char *restrict path, struct stat *restrict st)
{
    return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int statx(int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
    return (int)BY_PATH(at, path, SYS_statx, at, P(path), flags, mask, P(st));
}

struct stat64;
int fstatat64(int at, const char *restrict path, struct stat64 *restrict st, int flags)
    __attribute__((alias("fstatat")));
int stat64(const char *restrict path, struct stat64 *restrict st) __attribute__((alias("stat")));
int lstat64(const char *restrict path, struct stat64 *restrict st) __attribute__((alias("lstat")));

/* What programs call that were linked to a glibc before 2.33. */
#ifdef __x86_64__
int __xstat(int version, const char *path, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st);
int __fxstatat(int version, int at, const char *path, struct stat *st, int flags);
int __xstat64(int version, const char *path, struct stat *st) __attribute__((alias("__xstat")));
int __lxstat64(int version, const char *path, struct stat *st) __attribute__((alias("__lxstat")));
int __fxstatat64(int version, int at, const char *path, struct stat *st, int flags)
    __attribute__((alias("__fxstatat")));

int __xstat(int version, const char *path, struct stat *st)
{
    return stat(path, st);
}

int __lxstat(int version, const char *path, struct stat *st)
{
    return lstat(path, st);
}

int __fxstatat(int version, int at, const char *path, struct stat *st, int flags)
{
    return fstatat(at, path, st, flags);
}
#endif

int access(const char *path, int mode)
{
    return (int)BY_PATH(AT_FDCWD, path, SYS_faccessat, AT_FDCWD, P(path), mode);
}

/* libc does without flags that the kernel does not know. */
int faccessat(int at, const char *path, int mode, int flags)
{
    return flags ? real()->faccessat(at, path, mode, flags) : (int)BY_PATH(at, path, SYS_faccessat, at, P(path), mode);
}

ssize_t readlinkat(int at, const char *restrict path, char *restrict buf, size_t size)
{
    return BY_PATH(at, path, SYS_readlinkat, at, P(path), P(buf), (long)size);
}

ssize_t readlink(const char *restrict path, char *restrict buf, size_t size)
{
    return readlinkat(AT_FDCWD, path, buf, size);
}

int statfs(const char *path, struct statfs *st)
{
    return (int)BY_PATH(AT_FDCWD, path, SYS_statfs, P(path), P(st));
}

struct statfs64;
int statfs64(const char *path, struct statfs64 *st) __attribute__((alias("statfs")));

ssize_t getxattr(const char *path, const char *name, void *value, size_t size)
{
    return BY_PATH(AT_FDCWD, path, SYS_getxattr, P(path), P(name), P(value), (long)size);
}

ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size)
{
    return BY_PATH(AT_FDCWD, path, SYS_lgetxattr, P(path), P(name), P(value), (long)size);
}

ssize_t listxattr(const char *path, char *list, size_t size)
{
    return BY_PATH(AT_FDCWD, path, SYS_listxattr, P(path), P(list), (long)size);
}

ssize_t llistxattr(const char *path, char *list, size_t size)
{
    return BY_PATH(AT_FDCWD, path, SYS_llistxattr, P(path), P(list), (long)size);
}

int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    return (int)BY_PATH(AT_FDCWD, path, SYS_setxattr, P(path), P(name), P(value), (long)size, flags);
}

/* ---- changing ---- */

int unlinkat(int at, const char *path, int flags)
{
    return (int)BY_PATH(at, path, SYS_unlinkat, at, P(path), flags);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    return unlink(path) < 0 && (errno != EISDIR || rmdir(path) < 0) ? -1 : 0;
}

int mkdirat(int at, const char *path, mode_t mode)
{
    return (int)BY_PATH(at, path, SYS_mkdirat, at, P(path), mode);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    return (int)BY_PATH(from_at, from, SYS_renameat2, from_at, P(from), to_at, P(to), flags);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    return renameat2(from_at, from, to_at, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    return (int)BY_PATH(to_at, to, SYS_linkat, from_at, P(from), to_at, P(to), flags);
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int symlinkat(const char *target, int at, const char *path)
{
    return (int)BY_PATH(at, path, SYS_symlinkat, P(target), at, P(path));
}

int symlink(const char *target, const char *path)
{
    return symlinkat(target, AT_FDCWD, path);
}

int chmod(const char *path, mode_t mode)
{
    return (int)BY_PATH(AT_FDCWD, path, SYS_fchmodat, AT_FDCWD, P(path), mode);
}

int fchmodat(int at, const char *path, mode_t mode, int flags)
{
    return flags ? real()->fchmodat(at, path, mode, flags) : (int)BY_PATH(at, path, SYS_fchmodat, at, P(path), mode);
}

int fchownat(int at, const char *path, uid_t user, gid_t group, int flags)
{
    return (int)BY_PATH(at, path, SYS_fchownat, at, P(path), user, group, flags);
}

int chown(const char *path, uid_t user, gid_t group)
{
    return fchownat(AT_FDCWD, path, user, group, 0);
}

int lchown(const char *path, uid_t user, gid_t group)
{
    return fchownat(AT_FDCWD, path, user, group, AT_SYMLINK_NOFOLLOW);
}

int truncate(const char *path, off_t size)
{
    return (int)BY_PATH(AT_FDCWD, path, SYS_truncate, P(path), size);
}

int truncate64(const char *path, off64_t size) __attribute__((alias("truncate")));

int utimensat(int at, const char *path, const struct timespec times[2], int flags)
{
    const char *given = path;

    __asm__("" : "+r"(given)); /* libc's declaration says that it is not NULL */
    return given ? (int)BY_PATH(at, path, SYS_utimensat, at, P(path), P(times), flags)
                 : real()->utimensat(at, path, times, flags);
}
