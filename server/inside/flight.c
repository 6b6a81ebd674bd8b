/*
 * flight.c: the flight recorder writes files: what has happened before a request timed out, the event loop was blocked,
 * or the process crashed.
 *
 * After a 504 the ring is copied, and a thread writes the copy while the loop goes on. While the loop is blocked, the
 * ring stands still, and is written as it is; so it is in the signal handler of a crash. Files are made anew and never
 * overwritten (O_EXCL), only the last ones are kept, and a server that is in trouble writes one now and then.
 */
#include "inside/flight.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/digits.h"
#include "base/guarded_open.h"
#include "base/mem.h"
#include "base/real.h"
#include "base/text.h"
#include "base/thread.h"
#include "coro/fault.h"
#include "http/request/request.h"
#include "inside/flight_trace.h"
#include "log/log.h"

#define EVERY       INT64_C(10000000000) /* nanoseconds between two files, but for crashes */
#define PRUNE_EVERY 10000                /* milliseconds */
#define MAX_NAMES   100                  /* that are tried for a file */
#define STACK_SIZE  (256 * 1024)         /* bytes of a thread */
#define BEGIN_NAME  "/syncless-"
#define END_NAME    ".json"

static struct flight_settings flight_settings;
static _Atomic int64_t last_file; /* CLOCK_MONOTONIC ns; 0: there was none */
static atomic_bool prune_is_due;

/* ---- names and files ---- */

static char *add_to_path(char *at, const char *end, const char *s)
{
    while (*s && at < end - 1)
        *at++ = *s++;
    *at = '\0';
    return at;
}

static char *add_number_to_path(char *at, const char *end, uint64_t n)
{
    char digits[DIGITS_MAX + 1];

    digits[DIGITS_MAX] = '\0';
    return add_to_path(at, end, digits_decimal(digits + DIGITS_MAX, n));
}

/* DIR/syncless-PID-REASON-NUMBER.json; in signal handlers too. */
static void make_path(char path[PATH_MAX], const char *reason, unsigned number)
{
    const char *end = path + PATH_MAX;
    char *at = add_to_path(path, end, flight_settings.dir);

    at = add_number_to_path(add_to_path(at, end, BEGIN_NAME), end, (uint64_t)getpid());
    at = add_to_path(add_to_path(add_to_path(at, end, "-"), end, reason), end, "-");
    add_to_path(add_number_to_path(at, end, number), end, END_NAME);
}

/* Returns a descriptor or -errno. */
static int make_file(char path[PATH_MAX], const char *reason)
{
    int fd = -1;

    for (unsigned i = 1; i <= MAX_NAMES && fd < 0; i++) {
        make_path(path, reason, i);
        fd = guarded_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd < 0 ? -errno : fd;
}

/* ---- only the last ones are kept ---- */

static int is_flight_file(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name), end = strlen(END_NAME), begin = strlen(BEGIN_NAME) - 1;

    return size > end && !strncmp(entry->d_name, &BEGIN_NAME[1], begin) &&
           !strcmp(entry->d_name + size - end, END_NAME);
}

/* Returns the index of the oldest one, of which `size` are left, or -1. */
static int find_oldest(int dir, struct dirent *const *list, int size)
{
    struct timespec oldest = {0};
    int found = -1;

    for (int i = 0; i < size; i++) {
        struct stat st;

        if (!list[i] || fstatat(dir, list[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (found >= 0 && (st.st_mtim.tv_sec > oldest.tv_sec ||
                           (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec >= oldest.tv_nsec)))
            continue;
        found = i;
        oldest = st.st_mtim;
    }
    return found;
}

/* Leave so many. */
static void prune_files(size_t left)
{
    struct dirent **list = NULL;
    int count = scandir(flight_settings.dir, &list, is_flight_file, NULL), size = count;
    int dir = real()->open(flight_settings.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (dir >= 0 && count > 0 && (size_t)count > left) {
        int oldest = find_oldest(dir, list, size);

        if (oldest < 0)
            break;
        unlinkat(dir, list[oldest]->d_name, 0); /* another worker may have done so */
        free(list[oldest]);
        list[oldest] = NULL;
        count--;
    }
    for (int i = 0; i < size; i++)
        free(list[i]);
    free(list);
    if (dir >= 0)
        real()->close(dir);
}

/* Whether a file is due: something is recorded, there is a folder, and the last one was written a while ago. */
static bool may_write(void)
{
    int64_t now = wait_now(), last = atomic_load(&last_file);

    if (!recorder.events || !flight_settings.dir || (last && now - last < EVERY))
        return false;
    return atomic_compare_exchange_strong(&last_file, &last, now);
}

/* ---- upon a thread ---- */

/* A copy of the ring that is written. */
struct flight_job {
    struct flight flight;
    struct record_event *events; /* owned */
    int fd;                      /* of an answer; -1: a file is made */
    char *what;                  /* owned; the request, if a file is made */
    void (*done)(void *arg, int err);
    void *arg;
    int err;
};

static void job_free(struct flight_job *job)
{
    free(job->events);
    free(job->what);
    free(job);
}

static void job_done(void *arg)
{
    struct flight_job *job = arg;

    job->done(job->arg, job->err);
    job_free(job);
}

static int write_file(const struct flight *flight, const char *reason, char path[PATH_MAX])
{
    int fd = make_file(path, reason), err;

    if (fd < 0)
        return fd;
    err = flight_write(flight, fd, FLIGHT_HEAD, FLIGHT_TAIL);
    if (real()->close(fd) < 0 && !err)
        err = -errno;
    return err;
}

static void write_timeout_file(const struct flight_job *job)
{
    char path[PATH_MAX];
    int err;

    prune_files(flight_settings.files - 1);
    err = write_file(&job->flight, "504", path);
    if (err)
        log_error("cannot write %s, the events before %s timed out: %s", path, job->what, strerror(-err));
    else
        log_warn("%s has timed out: what happened before is in %s", job->what, path);
}

static void *job_run(void *arg)
{
    struct flight_job *job = arg;

    if (job->fd < 0) {
        write_timeout_file(job);
        job_free(job);
        return NULL;
    }
    job->err = flight_write(&job->flight, job->fd, "", "");
    wait_post(job_done, job);
    return NULL;
}

/* Returns 0 or -errno; then the job is freed. */
static int job_start(struct flight_job *job)
{
    size_t size = (recorder.mask + 1) * sizeof(*job->events);
    int err;

    job->events = xmalloc(size);
    flight_take(&job->flight, flight_settings.worker);
    memcpy(job->events, recorder.events, size);
    job->flight.events = job->events;
    err = thread_start(job_run, job, STACK_SIZE);
    if (err)
        job_free(job);
    return err;
}

/* ---- when ---- */

void flight_on_timeout(const struct request *req)
{
    struct flight_job *job;
    struct text what = {0};
    int err;

    if (!may_write())
        return;
    text_printf(&what, "%s %.200s", req->view.method, req->view.target);
    text_add(&what, "", 1);
    job = xcalloc(1, sizeof(*job));
    *job = (struct flight_job){.fd = -1, .what = what.buf};
    err = job_start(job);
    if (err)
        log_warn("the events before a request timed out are not written: cannot start a thread: %s", strerror(-err));
}

int flight_answer(int fd, void (*done)(void *arg, int err), void *arg)
{
    struct flight_job *job;

    if (!recorder.events)
        return -ENOTSUP;
    job = xcalloc(1, sizeof(*job));
    *job = (struct flight_job){.fd = fd, .done = done, .arg = arg};
    return job_start(job);
}

/* The watcher's thread has made a file, and could not post that, since it has no descriptors of the loop. */
static void prune_after_block(void)
{
    if (atomic_exchange(&prune_is_due, false))
        prune_files(flight_settings.files);
}

void flight_on_block(void)
{
    struct flight flight;
    char path[PATH_MAX];
    int err;

    if (!may_write())
        return;
    flight_take(&flight, flight_settings.worker);
    err = write_file(&flight, "stuck", path);
    if (err)
        log_error("cannot write %s, the events before the event loop was blocked: %s", path, strerror(-err));
    else
        log_warn("event loop blocked: what happened before is in %s", path);
    atomic_store(&prune_is_due, true);
}

/* In a signal handler. Returns a line for the log, or NULL. */
static const char *on_crash(void)
{
    static char line[PATH_MAX + 100];
    char path[PATH_MAX], *at;
    const char *end = line + sizeof(line);
    struct flight flight;

    if (recorder.pid != getpid()) /* a forked child */
        return NULL;
    flight_take(&flight, flight_settings.worker);
    at = add_to_path(line, end, write_file(&flight, "crash", path) ? "cannot write " : "what happened before is in ");
    add_to_path(at, end, path);
    return line;
}

void flight_start(const struct flight_settings *settings)
{
    int err = recorder_start(settings->size);

    flight_settings = *settings;
    atomic_store(&last_file, 0);
    if (err)
        log_warn("the flight recorder is off: no memory for flight-recorder = %zu: %s", settings->size, strerror(-err));
    if (!recorder.events || !settings->dir)
        return;
    if (access(settings->dir, W_OK | X_OK) < 0)
        log_warn("the flight recorder can write no files: flight-recorder-dir = %s: %s", settings->dir,
                 strerror(errno));
    prune_files(settings->files);
    wait_every(PRUNE_EVERY, prune_after_block);
    fault_call_last(on_crash);
}
