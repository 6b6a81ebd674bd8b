/*
 * disk.c: where calls on files are made, by what the file system has cost lately.
 *
 * A trip to the pool costs some ten microseconds, and most calls are answered from memory in one or two. So a call is
 * made where it is, and timed. One that took over a millisecond may have waited for a disk, or for a processor that
 * another process had. So the next calls are watched: the kernel tells whether the thread slept. One that slept so long
 * has the file system remembered, with the average of its latest calls: while that is high, they go to the pool, where
 * they are watched as well, and when it has become low the file system is forgotten. So a single delay has no lasting
 * effect, and while there is nothing to watch a call costs a few instructions.
 *
 * A file system is known by its device, and by the beginnings of absolute paths that were seen to lead to it, so that
 * a path need not be looked up to find out where it leads. Such a beginning is the mount point or a symbolic link.
 *
 * Only the loop's thread uses the table. A coroutine that is away upon a thread of the pool waits for a disk there.
 */
#include "libc/disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/real.h"
#include "base/ticks.h"
#include "libc/runtime/park.h"

#define NOTICE     INT64_C(1000000)  /* nanoseconds: a call that takes so long is remembered */
#define MAX_COUNTS INT64_C(16000000) /* what one call counts at most */
#define SLOW       INT64_C(200000)   /* the average from which on calls go to the pool */
#define QUICK      INT64_C(20000)    /* the average at which a file system is forgotten */
#define SHARE      8                 /* the latest call is so much of the average: 1 / SHARE */
#define SUSPECTS   64                /* calls that are watched after one that took long */
#define AHEAD      65536             /* bytes that a disk is read for at once, with the first one */
#define MAX_DISKS  16
#define MAX_PLACES 32

struct disk {
    bool used;
    dev_t device;
    int64_t average; /* nanoseconds */
};

/* A beginning of absolute paths. */
struct place {
    char *path; /* owned; "" for the root. NULL: not used */
    size_t size;
    struct disk *disk;
};

static struct disk disks[MAX_DISKS];
static struct place places[MAX_PLACES];
static unsigned next_disk, next_place;

static unsigned suspects; /* calls that are still to be watched, because one took long */

unsigned disk_watches;

/* A call and what is known of it. */
struct visit {
    disk_fn *fn;
    void *arg;
    bool is_watched;
    int64_t took; /* nanoseconds; of one that is watched and did not sleep, CPU time */
    long result;
    int error; /* errno */
};

/* ---- making a call ---- */

static int visit_run(void *arg)
{
    struct visit *v = arg;
    uint64_t begun = ticks_now();

    errno = v->error;
    v->result = v->fn(v->arg);
    v->error = errno;
    v->took = ticks_since(begun);
    return 0;
}

static int64_t cpu_time(const struct rusage *usage)
{
    return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * INT64_C(1000000000) +
           (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * INT64_C(1000);
}

static int visit_run_watched(void *arg)
{
    struct visit *v = arg;
    struct rusage before, after;

    getrusage(RUSAGE_THREAD, &before);
    visit_run(v);
    getrusage(RUSAGE_THREAD, &after);
    if (after.ru_nvcsw == before.ru_nvcsw)
        v->took = cpu_time(&after) - cpu_time(&before);
    return 0;
}

/* Have the next calls watched. */
static void suspect(void)
{
    if (suspects == 0)
        disk_watches++;
    suspects = SUSPECTS;
}

/* Whether a call took so long that its file system is to be remembered. */
static bool visit_was_slow(const struct visit *v)
{
    if (v->took >= NOTICE && !v->is_watched)
        suspect();
    return v->took >= NOTICE && v->is_watched;
}

static long visit_end(const struct visit *v)
{
    errno = v->error;
    return v->result;
}

long disk_offload(disk_fn *fn, void *arg)
{
    struct visit v = {.fn = fn, .arg = arg, .error = errno};

    if (!coro_current || !park_possible_for_child())
        return fn(arg);
    wait_offload_for(FOR_DISK, NULL, visit_run, &v);
    return visit_end(&v);
}

/* ---- the table ---- */

static struct disk *disk_of_device(dev_t device)
{
    for (size_t i = 0; i < ARRAY_SIZE(disks); i++)
        if (disks[i].used && disks[i].device == device)
            return &disks[i];
    return NULL;
}

static void place_clear(struct place *p)
{
    free(p->path);
    *p = (struct place){0};
}

static void disk_forget(struct disk *disk)
{
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (places[i].disk == disk)
            place_clear(&places[i]);
    disk->used = false;
    disk_watches--;
}

static struct disk *disk_remember(dev_t device)
{
    struct disk *disk = &disks[next_disk++ % MAX_DISKS];

    if (disk->used)
        disk_forget(disk);
    *disk = (struct disk){.used = true, .device = device};
    disk_watches++;
    return disk;
}

static void disk_count_call(struct disk *disk, int64_t took)
{
    disk->average += (min_int64(took, MAX_COUNTS) - disk->average) / SHARE;
    if (disk->average < QUICK)
        disk_forget(disk);
}

/* ---- paths ---- */

/* Whether path is place, or below it. */
static bool place_has(const struct place *p, const char *path)
{
    return p->path && !strncmp(path, p->path, p->size) && (path[p->size] == '/' || path[p->size] == '\0');
}

static struct disk *disk_of_absolute(const char *path)
{
    const struct place *best = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (place_has(&places[i], path) && (!best || places[i].size > best->size))
            best = &places[i];
    return best ? best->disk : NULL;
}

static bool device_at(int at, const char *path, dev_t *device)
{
    struct stat st;
    int saved = errno, result = (int)real()->syscall(SYS_newfstatat, at, path, &st, *path ? 0 : AT_EMPTY_PATH);

    errno = saved;
    *device = st.st_dev;
    return result == 0;
}

/* A relative path is taken to be where its beginning is. */
static struct disk *disk_of_path(int at, const char *path)
{
    dev_t device;

    if (*path == '/')
        return disk_of_absolute(path);
    return device_at(at, at == AT_FDCWD ? "." : "", &device) ? disk_of_device(device) : NULL;
}

struct finding {
    int at;
    const char *path;
    char begin[PATH_MAX]; /* the highest directory of path on that device; "" is the root */
    bool found;
    dev_t device;
};

/* Cut the last segment. Returns false if there is none. */
static bool cut_segment(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash)
        *slash = '\0';
    return slash != NULL;
}

/* Find out the device of a path that exists, or of the directory of one that does not. */
static void find_device(struct finding *f)
{
    do
        f->found = device_at(f->at, *f->begin || *f->path != '/' ? f->begin : "/", &f->device);
    while (!f->found && cut_segment(f->begin));
    if (!f->found)
        f->found = device_at(f->at, f->at == AT_FDCWD ? "." : "", &f->device);
}

/* On the pool, since the file system is slow. */
static int find_disk(void *arg)
{
    struct finding *f = arg;
    char above[PATH_MAX];
    dev_t device;

    strcpy(f->begin, f->path);
    find_device(f);
    if (!f->found || *f->path != '/')
        return 0;
    strcpy(above, f->begin);
    while (cut_segment(above) && device_at(AT_FDCWD, *above ? above : "/", &device) && device == f->device)
        strcpy(f->begin, above);
    return 0;
}

static void place_remember(const char *begin, struct disk *disk)
{
    struct place *p = &places[next_place++ % MAX_PLACES];

    place_clear(p);
    *p = (struct place){.path = xstrdup(begin), .size = strlen(begin), .disk = disk};
}

/* A call on path took long, and the path leads to no file system that is known to be slow. */
static void path_notice(int at, const char *path, int64_t took)
{
    struct finding *f;
    struct disk *disk;

    if (strlen(path) >= PATH_MAX || !park_possible_for_child())
        return;
    f = xcalloc(1, sizeof(*f));
    f->at = at;
    f->path = path;
    wait_offload_for(FOR_DISK, NULL, find_disk, f);
    if (f->found) {
        disk = disk_of_device(f->device);
        if (!disk)
            disk = disk_remember(f->device);
        if (*path == '/' && !disk_of_absolute(path))
            place_remember(f->begin, disk);
        disk_count_call(disk, took);
    }
    free(f);
}

/* ---- by what it costs ---- */

/* Make the call where it should be made; disk: NULL if nothing is known. */
static void visit_make(struct visit *v, const struct disk *disk)
{
    v->is_watched = disk_watches > 0;
    if (suspects > 0 && --suspects == 0)
        disk_watches--;
    if (!v->is_watched)
        visit_run(v);
    else if (disk && disk->average >= SLOW && park_possible_for_child())
        wait_offload_for(FOR_DISK, NULL, visit_run_watched, v);
    else
        visit_run_watched(v);
}

/* Calls are watched: a file system is slow, perhaps that of the path. */
static long run_path_by_cost(int at, const char *path, struct visit *v)
{
    struct disk *disk = disk_of_path(at, path);
    dev_t device = disk ? disk->device : 0;

    visit_make(v, disk);
    if (disk && (disk = disk_of_device(device))) /* others may have changed the table meanwhile */
        disk_count_call(disk, v->took);
    else if (visit_was_slow(v))
        path_notice(at, path, v->took);
    return visit_end(v);
}

void disk_took(int64_t took)
{
    if (__builtin_expect(took >= NOTICE, 0))
        suspect();
}

long disk_run_path(int at, const char *path, disk_fn *fn, void *arg)
{
    uint64_t begun;
    long result;

    if (!coro_current || !path)
        return fn(arg);
    if (disk_watches > 0)
        return run_path_by_cost(at, path, &(struct visit){.fn = fn, .arg = arg, .error = errno});
    begun = ticks_now();
    result = fn(arg);
    disk_took(ticks_since(begun));
    return result;
}

/* A call on fd took so many nanoseconds. */
static void disk_notice(int fd, int64_t took)
{
    struct disk *disk;
    struct stat st;

    if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return;
    disk = disk_of_device(st.st_dev);
    disk_count_call(disk ? disk : disk_remember(st.st_dev), took);
}

long disk_run_fd(int fd, disk_fn *fn, void *arg)
{
    struct visit v = {.fn = fn, .arg = arg, .error = errno};
    struct disk *disk = NULL;
    struct stat st;

    if (!coro_current)
        return fn(arg);
    if (disk_watches > 0 && fstat(fd, &st) == 0)
        disk = disk_of_device(st.st_dev);
    visit_make(&v, disk);
    if (disk || visit_was_slow(&v))
        disk_notice(fd, v.took);
    return visit_end(&v);
}

/* ---- system calls ---- */

static long disk_call_run(void *arg)
{
    const struct disk_call *c = arg;

    return real()->syscall(c->number, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4]);
}

long disk_call_offload(struct disk_call call)
{
    return disk_offload(disk_call_run, &call);
}

long disk_call_path(int at, const char *path, struct disk_call call)
{
    return disk_run_path(at, path, disk_call_run, &call);
}

long disk_call_fd(int fd, struct disk_call call)
{
    return disk_run_fd(fd, disk_call_run, &call);
}

/* ---- what is in memory ---- */

bool disk_has(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

static bool byte_is_cached(int fd, off_t at)
{
    char byte;
    struct iovec one = {&byte, 1};

    return real()->preadv2(fd, &one, 1, at, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

bool disk_is_cached(int fd, off_t offset, size_t size)
{
    int saved = errno;
    bool cached = byte_is_cached(fd, offset) && (size <= AHEAD || byte_is_cached(fd, offset + (off_t)size - 1));

    errno = saved;
    return cached;
}

struct disk_sending {
    int to, from;
    off_t *offset;
    size_t size;
};

static long disk_send(void *arg)
{
    const struct disk_sending *s = arg;

    return real()->sendfile(s->to, s->from, s->offset, s->size);
}

long disk_sendfile(int to, int from, off_t *offset, off_t at, size_t size)
{
    struct disk_sending sending = {to, from, offset, size};

    return disk_is_cached(from, at, size) ? disk_send(&sending) : disk_offload(disk_send, &sending);
}
