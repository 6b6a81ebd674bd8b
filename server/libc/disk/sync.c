/*
 * sync.c: calls that wait until a disk has got data, or copy it from file to file: always on the pool.
 *
 * Those that give or take room for data go by what the file system has cost lately.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/real.h"
#include "coro/coro.h"
#include "libc/disk/disk.h"

#define CALL(NUMBER, ...) ((struct disk_call){(NUMBER), {__VA_ARGS__}})

/* ---- always ---- */

int fsync(int fd)
{
    return (int)disk_call_offload(CALL(SYS_fsync, fd));
}

int fdatasync(int fd)
{
    return (int)disk_call_offload(CALL(SYS_fdatasync, fd));
}

int syncfs(int fd)
{
    return (int)disk_call_offload(CALL(SYS_syncfs, fd));
}

void sync(void)
{
    disk_call_offload(CALL(SYS_sync));
}

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags)
{
    return (int)disk_call_offload(CALL(SYS_sync_file_range, fd, offset, size, flags));
}

int msync(void *address, size_t size, int flags)
{
    struct disk_call call = CALL(SYS_msync, (long)address, (long)size, flags);

    return (int)(flags & MS_SYNC ? disk_call_offload(call) : real()->syscall(SYS_msync, address, size, flags));
}

/* A call with six arguments. */
struct copying {
    int in, out;
    off64_t *in_offset, *out_offset;
    size_t size;
    unsigned flags;
};

static long copying_run(void *arg)
{
    const struct copying *c = arg;

    return real()->syscall(SYS_copy_file_range, c->in, c->in_offset, c->out, c->out_offset, c->size, c->flags);
}

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size, unsigned flags)
{
    struct copying copying = {in, out, in_offset, out_offset, size, flags};

    return disk_offload(copying_run, &copying);
}

/* ---- by what it costs ---- */

int ftruncate(int fd, off_t size)
{
    return (int)disk_call_fd(fd, CALL(SYS_ftruncate, fd, size));
}

int ftruncate64(int fd, off64_t size) __attribute__((alias("ftruncate")));

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    return (int)disk_call_fd(fd, CALL(SYS_fallocate, fd, mode, offset, size));
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size) __attribute__((alias("fallocate")));

struct room {
    int fd;
    off_t offset, size;
};

static long room_make(void *arg)
{
    const struct room *r = arg;

    return real()->posix_fallocate(r->fd, r->offset, r->size);
}

/* libc writes zeros where the file system has no fallocate. */
int posix_fallocate(int fd, off_t offset, off_t size)
{
    return (int)disk_offload(room_make, &(struct room){fd, offset, size});
}

int posix_fallocate64(int fd, off64_t offset, off64_t size) __attribute__((alias("posix_fallocate")));
