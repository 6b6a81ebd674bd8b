/*
 * sink.c: lines to a file, to standard error or to syslog, without ever waiting.
 *
 * Lines are gathered in one buffer and leave in one write(2), whole lines to a file opened with O_APPEND, so those of
 * several processes do not mix. A pipe or a terminal may be full, and would then hold up the loop with every request on
 * it. O_NONBLOCK belongs to whoever else shares the open file, so the pipe is opened anew through /proc, and that
 * description is ours; where it cannot be, poll(2) is asked before each piece that a pipe takes as a whole. What finds
 * no room waits in the buffer; beyond a bound lines are dropped and counted.
 *
 * The system calls are made directly: write() of this process parks coroutines, and a line may come from any of them,
 * from threads, and from within a park. The lock is a spin lock for the same reason.
 */
#include "log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "log/log.h"
#include "log/target.h"

#define FLUSH_AT   32768     /* bytes that are worth a system call */
#define BUFFER     (1 << 20) /* bytes that wait for a slow reader; only those that do take memory */
#define TELL_EVERY 60        /* seconds */

enum sink_kind { SINK_FILE, SINK_PIPE, SINK_SOCKET, SINK_SYSLOG };

struct sink {
    char *target; /* owned */
    enum sink_kind kind;
    int fd;
    int facility;
    bool look; /* poll before each write: the descriptor may block */
    atomic_flag lock;
    size_t start, end; /* of what is pending in buf */
    size_t lost;       /* lines dropped since the log told of it */
    int error;         /* errno of the last write, 0 if it went well */
    time_t tell_again; /* not before then, that it cannot be written */
    char *buf;         /* of BUFFER bytes, owned; NULL until it is needed */
};

static void lock(struct sink *s)
{
    while (atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire))
        sched_yield();
}

static void unlock(struct sink *s)
{
    atomic_flag_clear_explicit(&s->lock, memory_order_release);
}

/* ---- opening ---- */

static void classify(struct sink *s)
{
    struct stat st = {0};

    fstat(s->fd, &st);
    s->kind = S_ISSOCK(st.st_mode) ? SINK_SOCKET : S_ISREG(st.st_mode) ? SINK_FILE : SINK_PIPE;
}

/* Have a description of our own of what standard error is, if it may block. */
static void open_stderr(struct sink *s)
{
    int own;

    s->fd = STDERR_FILENO;
    classify(s);
    if (s->kind != SINK_PIPE)
        return;
    own = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    s->look = own < 0;
    if (own >= 0)
        s->fd = own;
}

struct sink *sink_open(const char *target)
{
    struct sink *s = xcalloc(1, sizeof(*s));

    s->target = xstrdup(target);
    s->facility = logtarget_facility(target);
    if (s->facility >= 0) {
        s->kind = SINK_SYSLOG;
        s->fd = logtarget_connect_syslog();
    } else if (!strcmp(target, "stderr")) {
        open_stderr(s);
    } else {
        s->fd = logtarget_open_file(target);
        if (s->fd >= 0)
            classify(s);
    }
    if (s->fd >= 0)
        return s;
    free(s->target);
    free(s);
    return NULL;
}

void sink_close(struct sink *s)
{
    if (s->fd != STDERR_FILENO)
        close(s->fd);
    free(s->target);
    free(s->buf);
    free(s);
}

int sink_open_file(const char *target)
{
    int fd;

    if (!logtarget_is_file(target))
        return -1;
    fd = logtarget_open_file(target);
    if (fd < 0)
        log_error("cannot open %s anew: %m; the log goes on in the file before", target);
    return fd;
}

void sink_renew(struct sink *s, int fd)
{
    sink_flush(s); /* what came before belongs to the old file */
    dup3(fd, s->fd, O_CLOEXEC);
    close(fd);
}

bool sink_is_file(const struct sink *s)
{
    return logtarget_is_file(s->target);
}

int sink_fd(const struct sink *s)
{
    return s->kind == SINK_SYSLOG ? STDERR_FILENO : s->fd;
}

/* ppoll, since some processors have no SYS_poll. */
bool sink_has_room(int fd, int milliseconds)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    struct timespec most = {.tv_nsec = milliseconds * 1000000L};

    return syscall(SYS_ppoll, &room, 1, &most, NULL, 0) == 1;
}

/* ---- writing, with the lock held ---- */

/* The part of what is pending that may leave in one call. */
static size_t piece(const struct sink *s)
{
    const char *from = s->buf + s->start, *end;
    size_t size = s->end - s->start, most = PIPE_BUF;

    if (s->kind == SINK_SYSLOG)
        return (size_t)((char *)memchr(from, '\n', size) + 1 - from);
    if (s->kind != SINK_PIPE || size <= most)
        return size;
    end = memrchr(from, '\n', most); /* so much is taken as a whole or not at all */
    return end ? (size_t)(end + 1 - from) : most;
}

static ssize_t write_piece(struct sink *s, size_t size)
{
    const char *from = s->buf + s->start;

    if (s->kind == SINK_SOCKET)
        return syscall(SYS_sendto, s->fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
    if (s->kind == SINK_SYSLOG) /* one message a line, without its end */
        return syscall(SYS_sendto, s->fd, from, size - 1, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0) + 1;
    if (s->look && !sink_has_room(s->fd, 0)) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_write, s->fd, from, size);
}

static bool is_waiting(int err)
{
    return err == EAGAIN || err == ENOBUFS || err == EINTR;
}

/* syslogd may have been started again, and standard error may have become something else. */
static bool reconnect(struct sink *s)
{
    int fd;

    if (errno == ENOTSOCK && s->kind == SINK_SOCKET) {
        open_stderr(s);
        return true;
    }
    fd = s->kind == SINK_SYSLOG ? logtarget_connect_syslog() : -1;
    if (fd < 0)
        return false;
    dup3(fd, s->fd, O_CLOEXEC);
    close(fd);
    return true;
}

/* What cannot be written now waits; what can never be is lost. */
static void flush(struct sink *s)
{
    bool again = true;

    while (s->start < s->end) {
        ssize_t n = write_piece(s, piece(s));

        if (n <= 0 && again && !is_waiting(errno) && reconnect(s)) {
            again = false;
            continue;
        }
        s->error = n > 0 ? 0 : errno;
        if (n <= 0)
            return;
        s->start += (size_t)n;
    }
    s->start = s->end = 0;
}

static void append(struct sink *s, const char *lines, size_t size)
{
    if (!s->buf)
        s->buf = xmalloc(BUFFER);
    if (s->start > 0 && size > BUFFER - s->end) {
        memmove(s->buf, s->buf + s->start, s->end - s->start);
        s->end -= s->start;
        s->start = 0;
    }
    if (size > BUFFER - s->end) {
        s->lost++;
        return;
    }
    memcpy(s->buf + s->end, lines, size);
    s->end += size;
}

/* The head that syslogd expects, RFC 3164 section 4.1 as libc's syslog(3) writes it. Returns its size. */
static size_t syslog_head(const struct sink *s, int severity, char *head, size_t room)
{
    time_t now = time(NULL);
    struct tm tm;
    size_t size;

    localtime_r(&now, &tm);
    size = (size_t)snprintf(head, room, "<%d>", s->facility | severity);
    size += strftime(head + size, room - size, "%h %e %T ", &tm);
    return size + (size_t)snprintf(head + size, room - size, "syncless[%d]: ", (int)getpid());
}

/* A message for each line. There is room for its head and the line, or for neither: each message ends with a line. */
static void append_syslog(struct sink *s, int severity, const char *lines, size_t size)
{
    char head[80];
    size_t head_size = syslog_head(s, severity, head, sizeof(head));

    while (size > 0) {
        const char *end = memchr(lines, '\n', size);
        size_t line = end ? (size_t)(end + 1 - lines) : size;

        if (head_size + line <= BUFFER - (s->end - s->start)) {
            append(s, head, head_size);
            append(s, lines, line);
        } else {
            s->lost++;
        }
        lines += line;
        size -= line;
    }
}

/* ---- the calls ---- */

static void tell_failed(struct sink *s)
{
    time_t now = time(NULL);

    if (!s->error || is_waiting(s->error) || now < s->tell_again)
        return;
    s->tell_again = now + TELL_EVERY; /* first: what is said may come by here */
    log_error("cannot write to the log %s: %s", s->target, strerror(s->error));
    if (s == log_sink())
        log_aside("cannot write to the log %s: %s", s->target, strerror(s->error));
}

/* Tell of lines that were dropped, once there is room again. */
static void tell_lost(struct sink *s)
{
    size_t lost = s->lost;

    if (!lost || s->start < s->end)
        return;
    s->lost = 0;
    log_warn("%zu lines were lost: %s did not take them", lost, s->target);
}

static void tell(struct sink *s)
{
    tell_failed(s);
    tell_lost(s);
}

void sink_put(struct sink *s, int severity, const char *lines, size_t size, bool now)
{
    lock(s);
    if (s->kind == SINK_SYSLOG)
        append_syslog(s, severity, lines, size);
    else
        append(s, lines, size);
    if (now || s->end - s->start >= FLUSH_AT)
        flush(s);
    unlock(s);
    tell(s);
}

void sink_flush(struct sink *s)
{
    if (s->start == s->end && !s->lost)
        return;
    lock(s);
    flush(s);
    unlock(s);
    tell(s);
}

void sink_drain(struct sink *s, int milliseconds)
{
    sink_flush(s);
    while (s->start < s->end && milliseconds > 0) {
        sink_has_room(s->fd, 10);
        milliseconds -= 10;
        sink_flush(s);
    }
}

/* A pipe that nobody will read again is always ready, and never takes anything. */
int sink_awaits(const struct sink *s)
{
    bool is_broken = s->error && !is_waiting(s->error);

    return s->start < s->end && s->kind != SINK_FILE && !is_broken ? s->fd : -1;
}

void sink_forget(struct sink *s)
{
    atomic_flag_clear(&s->lock);
    s->start = s->end = 0;
}
