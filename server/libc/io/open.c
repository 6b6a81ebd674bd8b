/*
 * open.c: open, openat, creat and openat2, which wait at a FIFO and at some devices.
 *
 * A FIFO opens when its other end is opened too. For writing, an open with O_NONBLOCK fails while nobody reads, so it
 * is made again after pauses. For reading, such an open succeeds at once and lets writers in; then we wait for one.
 * Data and its end wake the coroutine; that somebody has only opened the FIFO shows in the result of tee(2), after a
 * pause of at most 32 ms. In the end O_NONBLOCK is taken back: the open file is new, and nobody else has it yet.
 *
 * A device may wait for anything, such as the carrier of a serial line. It is opened by a thread of its own; not
 * pseudo-terminals, /dev/null and the like. The kind of the file is asked first, which takes a system call, only for
 * flags with which the call may wait. Where the file system is slow, a thread of the pool does both (disk/disk.c).
 */
#include "libc/io/open.h"

#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/real.h"
#include "base/ticks.h"
#include "libc/disk/disk.h"
#include "libc/io/fortify.h"
#include "libc/runtime/park.h"

#define MEMORY_DEVICES  1 /* /dev/null, zero, urandom, ... */
#define TTY_DEVICES     5 /* /dev/tty, ptmx, console */
#define FIRST_PTS_MAJOR 136
#define LAST_PTS_MAJOR  143

static long opening_call(void *arg)
{
    const struct opening *o = arg;
    struct open_how how = {.flags = (unsigned)o->flags, .mode = o->mode};

    if (!o->how)
        return real()->openat(o->dirfd, o->path, o->flags, o->mode);
    how.resolve = o->how->resolve;
    return real()->syscall(SYS_openat2, o->dirfd, o->path, &how, sizeof(how));
}

static int opening_run(void *arg)
{
    int fd = (int)opening_call(arg);

    return fd < 0 ? -errno : fd;
}

/* ---- FIFOs ---- */

static int opening_try_fifo(const struct opening *o)
{
    struct opening now = *o;

    now.flags |= O_NONBLOCK;
    return opening_run(&now);
}

/* Returns the descriptor when somebody reads, or -errno. */
static int fifo_open_for_writing(const struct opening *o)
{
    struct park_backoff backoff = {0};
    int fd, result;

    while ((fd = opening_try_fifo(o)) == -ENXIO) {
        result = park_backoff_for(FOR_PIPE, -1, &backoff, WAIT_FOREVER);
        if (result < 0 && !park_restarts(result))
            return result;
    }
    return fd;
}

/* Whether a writer has come: there is data, he has gone again, or tee(2) says that data may come. */
static bool fifo_has_writer(int fd, const int scratch[2])
{
    struct pollfd look = {.fd = fd, .events = POLLIN};

    return real()->poll(&look, 1, 0) > 0 || real()->tee(fd, scratch[1], 1, SPLICE_F_NONBLOCK) != 0;
}

static int fifo_await_writer(int fd)
{
    struct park_backoff backoff = {0};
    int scratch[2], result = 0;

    if (pipe2(scratch, O_CLOEXEC) < 0)
        return -errno;
    while (result >= 0 && !fifo_has_writer(fd, scratch)) {
        result = wait_fd(fd, POLLIN, park_backoff_end(&backoff, WAIT_FOREVER));
        if (result == -ETIMEDOUT || park_restarts(result))
            result = 0;
    }
    real()->close(scratch[0]);
    real()->close(scratch[1]);
    return result < 0 ? result : 0;
}

static int fifo_open_for_reading(const struct opening *o)
{
    int fd = opening_try_fifo(o), err = fd < 0 ? 0 : fifo_await_writer(fd);

    if (!err)
        return fd;
    wait_fd_close(fd);
    real()->close(fd);
    return err;
}

static int fifo_open(const struct opening *o)
{
    int fd = (o->flags & O_ACCMODE) == O_WRONLY ? fifo_open_for_writing(o) : fifo_open_for_reading(o);

    if (fd >= 0)
        real()->fcntl(fd, F_SETFL, real()->fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
}

/* ---- which files ---- */

enum opening_kind {
    OPENING_QUICK,
    OPENING_FIFO,
    OPENING_DEVICE,
};

static bool device_is_quick(dev_t device)
{
    unsigned kind = major(device);

    return kind == MEMORY_DEVICES || kind == TTY_DEVICES || (kind >= FIRST_PTS_MAJOR && kind <= LAST_PTS_MAJOR);
}

/* stat, by a path that openat2 looks up in its own way. */
static int opening_stat_resolved(const struct opening *o, struct stat *st)
{
    struct opening look = *o;
    int fd, result;

    look.flags = O_PATH | O_CLOEXEC | (o->flags & O_NOFOLLOW);
    look.mode = 0;
    fd = (int)opening_call(&look);
    if (fd < 0)
        return -1;
    result = fstat(fd, st);
    real()->close(fd);
    return result;
}

static enum opening_kind opening_find_kind(const struct opening *o)
{
    int flags = o->flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0, saved = errno, result;
    struct stat st;

    result =
        o->how ? opening_stat_resolved(o, &st) : (int)real()->syscall(SYS_newfstatat, o->dirfd, o->path, &st, flags);
    errno = saved;
    if (result == 0 && S_ISFIFO(st.st_mode) && (o->flags & O_ACCMODE) != O_RDWR)
        return OPENING_FIFO;
    if (result == 0 && (S_ISBLK(st.st_mode) || (S_ISCHR(st.st_mode) && !device_is_quick(st.st_rdev))))
        return OPENING_DEVICE;
    return OPENING_QUICK;
}

/* Whether an open with these flags may wait at some file, other than for a disk. */
static inline bool flags_may_wait(int flags)
{
    return !(flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
}

/* ---- where it is done, by what the disk costs ---- */

struct opening_try {
    const struct opening *o;
    enum opening_kind kind;
};

static long opening_try_kind(void *arg)
{
    struct opening_try *t = arg;

    t->kind = opening_find_kind(t->o);
    return 0;
}

/* Open the file if that is quick. */
static long opening_try_open(void *arg)
{
    struct opening_try *t = arg;

    t->kind = opening_find_kind(t->o);
    return t->kind == OPENING_QUICK ? opening_call((void *)t->o) : -1;
}

static enum opening_kind opening_kind_of(const struct opening *o)
{
    struct opening_try try = {.o = o};

    disk_run_path(o->dirfd, o->path, opening_try_kind, &try);
    return try.kind;
}

bool opening_may_wait(const struct opening *o)
{
    return flags_may_wait(o->flags) && coro_self() && opening_kind_of(o) != OPENING_QUICK && park_possible();
}

static int opening_wait_as(struct opening *o, enum opening_kind kind)
{
    return park_end(kind == OPENING_FIFO ? fifo_open(o) : wait_thread_for(FOR_DISK, NULL, opening_run, o), errno);
}

int opening_wait(struct opening *o)
{
    return opening_wait_as(o, opening_kind_of(o));
}

static int open_or_wait(struct opening *o)
{
    struct opening_try try = {.o = o};
    int fd = (int)disk_run_path(o->dirfd, o->path, opening_try_open, &try);

    if (try.kind == OPENING_QUICK)
        return fd;
    return park_possible() ? opening_wait_as(o, try.kind) : (int)opening_call(o);
}

/* With flags with which the call waits for a disk only. */
static int open_file(int dirfd, const char *path, int flags, mode_t mode)
{
    uint64_t begun;
    int fd;

    if (disk_watches > 0)
        return (int)disk_run_path(dirfd, path, opening_call, &(struct opening){dirfd, path, flags, mode, NULL});
    begun = ticks_now();
    fd = real()->openat(dirfd, path, flags, mode);
    disk_took(ticks_since(begun));
    return fd;
}

static int open_anywhere(int dirfd, const char *path, int flags, mode_t mode)
{
    if (!coro_current && (!coro_guest || !flags_may_wait(flags)))
        return real()->openat(dirfd, path, flags, mode);
    return flags_may_wait(flags) ? open_or_wait(&(struct opening){dirfd, path, flags, mode, NULL})
                                 : open_file(dirfd, path, flags, mode);
}

int opening_openat2(int dirfd, const char *path, const struct open_how *how, size_t size)
{
    struct opening o = {.dirfd = dirfd, .path = path, .how = how};

    if (size != sizeof(*how) || how->flags > INT_MAX || !flags_may_wait((int)how->flags))
        return (int)real()->syscall(SYS_openat2, dirfd, path, how, size);
    o.flags = (int)how->flags;
    o.mode = (mode_t)how->mode;
    return open_or_wait(&o);
}

/* ---- the calls ---- */

/* Whether there is a third argument. */
static bool opening_has_mode(int flags)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    va_start(ap, flags);
    if (opening_has_mode(flags))
        mode = va_arg(ap, mode_t);
    va_end(ap);
    return coro_here() ? open_anywhere(AT_FDCWD, path, flags, mode) : real()->open(path, flags, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    va_start(ap, flags);
    if (opening_has_mode(flags))
        mode = va_arg(ap, mode_t);
    va_end(ap);
    return open_anywhere(dirfd, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int openat2(int dirfd, const char *path, const struct open_how *how, size_t size)
{
    return coro_self() ? opening_openat2(dirfd, path, how, size)
                       : (int)real()->syscall(SYS_openat2, dirfd, path, how, size);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dirfd, const char *path, int flags, ...) __attribute__((alias("openat")));
int creat64(const char *path, mode_t mode) __attribute__((alias("creat")));

int __open_2(const char *path, int flags)
{
    if (opening_has_mode(flags))
        __chk_fail();
    return open(path, flags);
}

int __openat_2(int dirfd, const char *path, int flags)
{
    if (opening_has_mode(flags))
        __chk_fail();
    return openat(dirfd, path, flags);
}

int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));
int __openat64_2(int dirfd, const char *path, int flags) __attribute__((alias("__openat_2")));
