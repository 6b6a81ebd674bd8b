/*
 * fopen.c: fopen and freopen of a FIFO or a device (io/open.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/real.h"
#include "base/thread.h"
#include "libc/io/close.h"
#include "libc/io/open.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/park.h"
#include "libc/stdio/stream.h"

/* Returns the flags for a mode of fopen; -1 if it is invalid. */
static int fopen_flags(const char *mode)
{
    bool update = strchr(mode, '+') != NULL;
    int flags = update ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;

    if (!strchr("rwa", *mode))
        return -1;
    if (*mode != 'r')
        flags |= O_CREAT | (*mode == 'w' ? O_TRUNC : O_APPEND);
    if (strchr(mode, 'x'))
        flags |= O_EXCL;
    if (strchr(mode, 'e'))
        flags |= O_CLOEXEC;
    return flags;
}

/* ---- /proc/self/stat ---- */

#define THREADS_FIELD 20 /* proc(5): the number of threads */

/* Since 3.12 os.fork() of CPython warns if the process has several OS threads, which it counts in this file. Those of
 * the server are no danger to a child. */
static bool counts_threads(const char *path, const void *caller)
{
    return path && !strcmp(path, "/proc/self/stat") && caller_kind_of(caller) == CALLER_RUNTIME;
}

/* Write the line to a stream, with fewer threads. The second field is a name in parentheses, which may have blanks. */
static void write_stat(FILE *out, char *line)
{
    char *rest = strrchr(line, ')'), *field;

    if (!rest)
        return;
    *rest++ = '\0';
    fprintf(out, "%s)", line);
    for (int n = 3; (field = strsep(&rest, " ")); n += *field != '\0')
        if (*field && n == THREADS_FIELD)
            fprintf(out, " %d", atoi(field) - thread_count());
        else if (*field)
            fprintf(out, " %s", field);
}

/* Returns a stream with the line as if the server had no threads; NULL with errno set. */
static FILE *open_stat(const char *path, const char *mode)
{
    FILE *stat = real()->fopen(path, mode), *file;
    char line[2048];

    if (!stat)
        return NULL;
    file = fmemopen(NULL, sizeof(line), "w+");
    if (file && fgets(line, sizeof(line), stat)) {
        write_stat(file, line);
        rewind(file);
    }
    real()->fclose(stat);
    return file;
}

/* ---- fopen ---- */

FILE *fopen(const char *restrict path, const char *restrict mode)
{
    struct opening o = {AT_FDCWD, path, coro_self() ? fopen_flags(mode) : -1, 0666, NULL};
    FILE *file;
    int fd;

    if (counts_threads(path, __builtin_return_address(0)))
        return open_stat(path, mode);
    if (o.flags < 0 || !opening_may_wait(&o))
        return real()->fopen(path, mode);
    fd = opening_wait(&o);
    file = fd < 0 ? NULL : fdopen(fd, mode);
    if (!file && fd >= 0)
        real()->close(fd);
    return file;
}

FILE *fopen64(const char *restrict path, const char *restrict mode) __attribute__((alias("fopen")));

/* ---- freopen ---- */

struct reopening {
    const char *path, *mode;
    FILE *file, *result;
};

static int reopening_run(void *arg)
{
    struct reopening *r = arg;

    r->result = real()->freopen(r->path, r->mode, r->file);
    return r->result ? 0 : -errno;
}

/* Have libc do all that does not wait for the file to be opened; a socket that it closes may linger. */
static FILE *freopen_really(const char *path, const char *mode, FILE *file)
{
    struct reopening r = {path, mode, file, NULL};
    int saved = errno, fd = coro_self() ? fileno(file) : -1;

    errno = saved;
    if (fd < 0 || !close_lingers(fd))
        return real()->freopen(path, mode, file);
    return park_end(wait_thread(reopening_run, &r), saved) < 0 ? NULL : r.result;
}

/* The stream gets /dev/null, and then that is replaced by the file. If there is none, the stream is closed, as libc
 * leaves it. */
static FILE *freopen_slowly(struct opening *o, const char *mode, FILE *file)
{
    FILE *result = freopen_really("/dev/null", mode, file);
    int fd = result ? opening_wait(o) : -1, saved = errno;

    if (fd >= 0) {
        real()->dup3(fd, fileno(result), o->flags & O_CLOEXEC);
        real()->close(fd);
    } else if (result) {
        result = real()->freopen("", mode, file);
    }
    errno = saved;
    return result;
}

FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict file)
{
    struct opening o = {AT_FDCWD, path, coro_self() && path ? fopen_flags(mode) : -1, 0666, NULL};

    stream_settle(file);
    return o.flags >= 0 && opening_may_wait(&o) ? freopen_slowly(&o, mode, file) : freopen_really(path, mode, file);
}

FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict file)
    __attribute__((alias("freopen")));
