/*
 * sink.c: lines to a file, to standard output or error, or to syslog, without ever waiting.
 *
 * Lines are collected in one buffer and leave in one write(2). To a file opened with O_APPEND these are whole lines, so
 * those of several processes do not mix. A pipe or a terminal may be full, and a blocking write would stop the loop
 * with every request on it. O_NONBLOCK on standard error would affect all other users of the open file, so the
 * pipe is opened a second time through /proc, which gives a description of our own. Where that fails, poll(2) comes
 * before each write, which is no longer than what a pipe takes as a whole. What cannot be written stays in the buffer;
 * when that is full, lines are dropped and counted.
 *
 * Lines come from any thread. The lock is held for a few system calls; it is a spin lock, which a forked child can
 * reset.
 */
#include "log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/real.h"
#include "base/array.h"
#include "log/log.h"
#include "log/log_program.h"
#include "log/log_target.h"

#define FLUSH_AT     32768     /* bytes that are worth a system call */
#define BUFFER       (1 << 20) /* bytes for a slow reader; the system gives memory only for those in use */
#define REPORT_EVERY 60        /* seconds */

enum sink_kind { SINK_FILE, SINK_PIPE, SINK_SOCKET, SINK_SYSLOG, SINK_JOURNAL };

struct sink {
    char *target; /* owned */
    enum sink_kind kind;
    int fd;
    int facility;        /* of syslog(3) */
    bool may_block;      /* poll before each write */
    atomic_flag lock;    /* guards what follows */
    size_t start, end;   /* pending bytes in buf */
    size_t dropped;      /* lines, since the log reported it */
    int error;           /* errno of the last write, 0 if it succeeded */
    time_t report_again; /* no report of an error before that time */
    char *buf;           /* BUFFER bytes, owned; NULL until the first line */
};

static void sink_lock(struct sink *s)
{
    while (atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire))
        real()->sched_yield();
}

static void sink_unlock(struct sink *s)
{
    atomic_flag_clear_explicit(&s->lock, memory_order_release);
}

/* ---- opening ---- */

static void sink_set_kind(struct sink *s)
{
    struct stat st = {0};

    fstat(s->fd, &st);
    s->kind = S_ISSOCK(st.st_mode) ? SINK_SOCKET : S_ISREG(st.st_mode) ? SINK_FILE : SINK_PIPE;
}

/* Use standard output or standard error; if a write to it may block, by a description of our own. */
static void sink_use_standard(struct sink *s, int fd)
{
    char path[32];
    int own;

    s->fd = fd;
    sink_set_kind(s);
    if (s->kind != SINK_PIPE)
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = real()->open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    s->may_block = own < 0;
    if (own >= 0)
        s->fd = own;
}

struct sink *sink_open(const char *target)
{
    struct sink *s = xcalloc(1, sizeof(*s));

    s->target = xstrdup(target);
    s->facility = log_target_facility(target);
    if (s->facility >= 0 || log_target_is_journal(target)) {
        s->kind = s->facility >= 0 ? SINK_SYSLOG : SINK_JOURNAL;
        s->fd = log_target_connect(target);
    } else if (log_target_command(target)) {
        s->kind = SINK_PIPE;
        s->fd = log_program_open(log_target_command(target));
    } else if (log_target_standard_fd(target) >= 0) {
        sink_use_standard(s, log_target_standard_fd(target));
    } else {
        s->fd = log_target_open_file(target);
        if (s->fd >= 0)
            sink_set_kind(s);
    }
    if (s->fd >= 0)
        return s;
    free(s->target);
    free(s);
    return NULL;
}

void sink_close(struct sink *s)
{
    if (s->fd > STDERR_FILENO)
        real()->close(s->fd);
    free(s->target);
    free(s->buf);
    free(s);
}

int sink_open_file(const char *target)
{
    int fd;

    if (!log_target_is_file(target))
        return -1;
    fd = log_target_open_file(target);
    if (fd < 0)
        log_error("cannot reopen %s: %m: still writing to the old file", target);
    return fd;
}

/* Put fd in the place of the sink's descriptor, whose number others may know. */
static void sink_replace_fd(struct sink *s, int fd)
{
    real()->dup3(fd, s->fd, O_CLOEXEC);
    real()->close(fd);
}

void sink_reopen(struct sink *s, int fd)
{
    sink_flush(s); /* pending lines belong in the old file */
    sink_replace_fd(s, fd);
}

static bool sink_is_file(const struct sink *s)
{
    return log_target_is_file(s->target);
}

/* Whether each line is a message of its own. */
static bool is_messages(const struct sink *s)
{
    return s->kind == SINK_SYSLOG || s->kind == SINK_JOURNAL;
}

int sink_dup_for_stderr(const struct sink *s)
{
    char path[32];

    if (sink_is_file(s))
        return real()->fcntl(s->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (!log_target_command(s->target))
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd); /* which waits for the reader, as programs expect */
    return real()->open(path, O_WRONLY | O_CLOEXEC);
}

int sink_fd(const struct sink *s)
{
    return is_messages(s) ? STDERR_FILENO : s->fd;
}

bool sink_is_writable(int fd, int milliseconds)
{
    struct pollfd out = {.fd = fd, .events = POLLOUT};

    return real()->poll(&out, 1, milliseconds) == 1;
}

/* ---- writing, with the lock held ---- */

/* Returns how many of the pending bytes may leave in one call. */
static size_t sink_chunk_size(const struct sink *s)
{
    const char *from = s->buf + s->start, *end;
    size_t size = s->end - s->start, max = PIPE_BUF; /* a pipe takes so much as a whole or not at all */

    if (is_messages(s))
        return (size_t)((char *)memchr(from, '\n', size) + 1 - from);
    if (s->kind != SINK_PIPE || size <= max)
        return size;
    end = memrchr(from, '\n', max);
    return end ? (size_t)(end + 1 - from) : max;
}

/* Send a line to journald, systemd.journal-fields(7): it begins with its severity as a digit. Returns as below. */
static ssize_t sink_send_to_journal(const struct sink *s, const char *line, size_t size)
{
    char head[80];
    struct iovec parts[] = {{head, 0}, {(void *)(line + 1), size - 2}}; /* without the line break */
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};

    parts[0].iov_len = (size_t)snprintf(head, sizeof(head), "PRIORITY=%c\nSYSLOG_IDENTIFIER=syncless\nMESSAGE=", *line);
    return real()->sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : (ssize_t)size;
}

/* Returns the number of bytes written, or -1 with errno. */
static ssize_t sink_write_chunk(struct sink *s, size_t size)
{
    const char *from = s->buf + s->start;

    if (s->kind == SINK_SOCKET)
        return real()->send(s->fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (s->kind == SINK_JOURNAL)
        return sink_send_to_journal(s, from, size);
    if (s->kind == SINK_SYSLOG) { /* without the line break */
        ssize_t n = real()->send(s->fd, from, size - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

        return n < 0 ? n : n + 1;
    }
    if (s->may_block && !sink_is_writable(s->fd, 0)) {
        errno = EAGAIN;
        return -1;
    }
    return real()->write(s->fd, from, size);
}

/* Whether it is worth trying again later. */
static bool sink_is_temporary(int err)
{
    return err == EAGAIN || err == ENOBUFS || err == EINTR;
}

/* After a failed write: syslogd may have been restarted, a standard stream may have become another file, or an
 * application may have closed descriptors that are not its own. Standard error has the log then. */
static bool sink_reconnect(struct sink *s)
{
    bool is_closed = errno == EBADF && s == log_sink() && !is_messages(s) && s->fd != STDERR_FILENO;
    int fd = log_target_standard_fd(s->target);

    if (is_closed || (errno == ENOTSOCK && s->kind == SINK_SOCKET)) {
        sink_use_standard(s, fd < 0 || is_closed ? STDERR_FILENO : fd);
        return true;
    }
    fd = is_messages(s) ? log_target_connect(s->target) : -1;
    if (fd < 0)
        return false;
    sink_replace_fd(s, fd);
    return true;
}

static void sink_flush_locked(struct sink *s)
{
    bool may_reconnect = true;

    while (s->start < s->end) {
        ssize_t n = sink_write_chunk(s, sink_chunk_size(s));

        if (n <= 0 && may_reconnect && !sink_is_temporary(errno) && sink_reconnect(s)) {
            may_reconnect = false;
            continue;
        }
        s->error = n > 0 ? 0 : errno;
        if (n <= 0)
            return;
        s->start += (size_t)n;
    }
    s->start = s->end = 0;
}

static void sink_append(struct sink *s, const char *lines, size_t size)
{
    if (!s->buf)
        s->buf = xmalloc(BUFFER);
    if (s->start > 0 && size > BUFFER - s->end) {
        memmove(s->buf, s->buf + s->start, s->end - s->start);
        s->end -= s->start;
        s->start = 0;
    }
    if (size > BUFFER - s->end) {
        s->dropped++;
        return;
    }
    memcpy(s->buf + s->end, lines, size);
    s->end += size;
}

/* Write to head what syslogd expects before a message: RFC 3164 section 4.1, as libc's syslog(3) does; for journald
 * the severity. Returns its size. */
static size_t sink_syslog_head(const struct sink *s, int severity, char *head, size_t capacity)
{
    time_t now = time(NULL);
    struct tm tm;
    size_t size;

    if (s->kind == SINK_JOURNAL)
        return (size_t)snprintf(head, capacity, "%d", severity);
    localtime_r(&now, &tm);
    size = (size_t)snprintf(head, capacity, "<%d>", s->facility | severity);
    size += strftime(head + size, capacity - size, "%h %e %T ", &tm);
    return size + (size_t)snprintf(head + size, capacity - size, "syncless[%d]: ", (int)getpid());
}

/* Append a message for each line: with its head, or not at all. So each message in the buffer ends with a line break.
 */
static void sink_append_syslog(struct sink *s, int severity, const char *lines, size_t size)
{
    char head[80];
    size_t head_size = sink_syslog_head(s, severity, head, sizeof(head));

    while (size > 0) {
        const char *end = memchr(lines, '\n', size);
        size_t line = end ? (size_t)(end + 1 - lines) : size;

        if (head_size + line <= BUFFER - (s->end - s->start)) {
            sink_append(s, head, head_size);
            sink_append(s, lines, line);
        } else {
            s->dropped++;
        }
        lines += line;
        size -= line;
    }
}

/* ---- the calls ---- */

static void sink_report_error(struct sink *s)
{
    time_t now = time(NULL);

    if (!s->error || sink_is_temporary(s->error) || now < s->report_again)
        return;
    s->report_again = now + REPORT_EVERY; /* first: the report may go to this sink */
    log_error("cannot write to the log %s: %s", s->target, strerror(s->error));
    if (s == log_sink())
        log_to_original_stderr("cannot write to the log %s: %s", s->target, strerror(s->error));
}

/* Report dropped lines once the buffer has room for it. */
static void sink_report_dropped(struct sink *s)
{
    size_t dropped = s->dropped;

    if (!dropped || s->start < s->end)
        return;
    s->dropped = 0;
    log_warn("dropped %zu log lines: %s was not accepting writes", dropped, s->target);
}

static void sink_report(struct sink *s)
{
    sink_report_error(s);
    sink_report_dropped(s);
}

void sink_write(struct sink *s, int severity, const char *lines, size_t size, bool now)
{
    sink_lock(s);
    if (is_messages(s))
        sink_append_syslog(s, severity, lines, size);
    else
        sink_append(s, lines, size);
    if (now || s->end - s->start >= FLUSH_AT)
        sink_flush_locked(s);
    sink_unlock(s);
    sink_report(s);
}

void sink_flush(struct sink *s)
{
    if (s->start == s->end && !s->dropped)
        return;
    sink_lock(s);
    sink_flush_locked(s);
    sink_unlock(s);
    sink_report(s);
}

void sink_drain(struct sink *s, int milliseconds)
{
    sink_flush(s);
    while (s->start < s->end && milliseconds > 0) {
        sink_is_writable(s->fd, 10);
        milliseconds -= 10;
        sink_flush(s);
    }
}

/* A pipe whose reader is gone is always writable, and each write fails. */
int sink_pending_fd(const struct sink *s)
{
    bool is_broken = s->error && !sink_is_temporary(s->error);

    return s->start < s->end && s->kind != SINK_FILE && !is_broken ? s->fd : -1;
}

void sink_clear(struct sink *s)
{
    atomic_flag_clear(&s->lock);
    s->start = s->end = 0;
}
