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
 * A file is always ready, but its disk may be slow or hang. In a process with an event loop files are written by a
 * thread of their own (writer.c). Who logs an error waits for the thread, so that the line is there if the process ends
 * next, but not for more than some milliseconds, and not at all while the disk is known to be late.
 *
 * Lines come from any thread. The lock is held for a few system calls, the thread's not among them; it is a spin lock,
 * which a forked child can reset.
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
#include "log/writer.h"

#define FLUSH_AT     32768     /* bytes that are worth a system call */
#define BUFFER       (1 << 20) /* bytes for a slow reader; the system gives memory only for those in use */
#define REPORT_EVERY 60        /* seconds */
#define MAX_WAIT     5         /* milliseconds that an error waits for the thread */
#define FILE_DRAIN   10        /* so much longer than others a file is waited for at the end of a process */

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
    /* files, in a process with an event loop: */
    struct writer *writer; /* the thread that writes; NULL: whoever calls does so */
    bool is_writing;       /* the thread is in a write, of what begins at start */
    bool is_late;          /* somebody has waited for the thread in vain, and it has not caught up */
    bool is_closed;        /* the thread is to write what is left, and free the sink */
    int next_fd;           /* where lines go from now on, -1: as before */
    size_t before_next;    /* the pending bytes that still go to the old file */
};

static bool sinks_have_threads; /* in this process */

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
    s->next_fd = -1;
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

static void sink_free(struct sink *s)
{
    if (s->fd > STDERR_FILENO)
        real()->close(s->fd);
    if (s->next_fd >= 0)
        real()->close(s->next_fd);
    free(s->target);
    free(s->buf);
    free(s);
}

void sink_close(struct sink *s)
{
    struct writer *writer = s->writer;

    if (!writer) {
        sink_free(s);
        return;
    }
    sink_lock(s); /* until the thread has been kicked: then it may free both */
    s->is_closed = true;
    mem_leave_to_thread(s);
    writer_kick(writer);
    sink_unlock(s);
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

/* Have the thread change to fd when it has written what is pending. */
static void sink_reopen_later(struct sink *s, int fd)
{
    int former;

    sink_lock(s);
    former = s->next_fd;
    if (former < 0)
        s->before_next = s->end - s->start;
    s->next_fd = fd;
    sink_unlock(s);
    if (former >= 0)
        real()->close(former);
    writer_kick(s->writer);
    writer_wait(s->writer, MAX_WAIT);
}

void sink_reopen(struct sink *s, int fd)
{
    if (s->writer) {
        sink_reopen_later(s, fd);
        return;
    }
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
        return real()->fcntl(s->next_fd >= 0 ? s->next_fd : s->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
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

    if (s->next_fd >= 0)
        size = s->before_next;
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

/* A pipe whose reader is gone is always writable, and each write fails. */
static bool sink_is_broken(const struct sink *s)
{
    return s->error && !sink_is_temporary(s->error);
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

/* On the thread, without the lock: write a chunk. */
static ssize_t sink_write_unlocked(struct sink *s, size_t size)
{
    ssize_t n;
    int err;

    s->is_writing = true;
    sink_unlock(s);
    n = sink_write_chunk(s, size);
    err = errno;
    sink_lock(s);
    s->is_writing = false;
    errno = err;
    return n;
}

/* On the thread: if what belongs in the old file is written, change to the next one. Closing a file may wait, too. */
static void sink_change_file(struct sink *s)
{
    int fd = s->next_fd;

    if (fd < 0 || s->before_next > 0)
        return;
    s->is_writing = true;
    s->next_fd = -1;
    sink_unlock(s);
    sink_replace_fd(s, fd);
    sink_lock(s);
    s->is_writing = false;
}

static void sink_flush_locked(struct sink *s)
{
    bool may_reconnect = true;

    while (sink_change_file(s), s->start < s->end) {
        size_t size = sink_chunk_size(s);
        ssize_t n = s->writer ? sink_write_unlocked(s, size) : sink_write_chunk(s, size);

        if (n <= 0 && may_reconnect && !sink_is_temporary(errno) && sink_reconnect(s)) {
            may_reconnect = false;
            continue;
        }
        s->error = n > 0 ? 0 : errno;
        if (n <= 0 && s->next_fd < 0)
            return;
        s->before_next = n > 0 && s->next_fd >= 0 ? s->before_next - (size_t)n : 0;
        s->start += n > 0 ? (size_t)n : 0;
    }
    s->start = s->end = 0;
}

/* ---- the thread ---- */

static bool sink_run_writer(void *arg)
{
    struct sink *s = arg;
    bool goes_on;

    sink_lock(s);
    sink_flush_locked(s);
    if (s->start == s->end)
        s->is_late = false;
    goes_on = !s->is_closed;
    sink_unlock(s);
    if (!goes_on)
        sink_free(s);
    return goes_on;
}

/* With the lock held: whether a thread writes. It is started when there is something to write. */
static bool sink_has_writer(struct sink *s)
{
    if (sinks_have_threads && !s->writer && s->kind == SINK_FILE)
        s->writer = writer_new(sink_run_writer, s);
    return s->writer;
}

/* Have pending lines written. Takes the lock, and gives it back. */
static void sink_flush_and_unlock(struct sink *s, bool wait)
{
    struct writer *writer = sink_has_writer(s) ? s->writer : NULL;

    if (!writer)
        sink_flush_locked(s);
    wait = wait && !s->is_late;
    sink_unlock(s);
    if (!writer)
        return;
    writer_kick(writer);
    if (wait && !writer_wait(writer, MAX_WAIT))
        s->is_late = true;
}

/* ---- lines ---- */

static void sink_append(struct sink *s, const char *lines, size_t size)
{
    if (!s->buf)
        s->buf = xmalloc(BUFFER);
    if (s->start > 0 && size > BUFFER - s->end && !s->is_writing) {
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
        sink_flush_and_unlock(s, now);
    else
        sink_unlock(s);
    sink_report(s);
}

bool sink_try_write(struct sink *s, const char *lines, size_t size)
{
    if (!s->writer || atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire))
        return false;
    sink_append(s, lines, size);
    sink_unlock(s);
    writer_kick(s->writer);
    return true;
}

void sink_flush(struct sink *s)
{
    if (s->start == s->end && !s->dropped)
        return;
    sink_lock(s);
    sink_flush_and_unlock(s, false);
    sink_report(s);
}

/* Wait for what takes the lines, not for long. Returns the milliseconds that this may have taken. */
static int sink_wait_a_little(struct sink *s, int milliseconds)
{
    if (s->writer)
        writer_wait(s->writer, milliseconds);
    else
        sink_is_writable(s->fd, milliseconds);
    return milliseconds;
}

static void sink_report_lost(const struct sink *s)
{
    size_t lines = s->dropped;

    for (const char *at = s->buf + s->start; (at = memchr(at, '\n', (size_t)(s->buf + s->end - at))); at++)
        lines++;
    if (s == log_sink())
        log_to_original_stderr("lost %zu log lines: %s was not accepting writes", lines, s->target);
    else
        log_error("lost %zu log lines: %s was not accepting writes", lines, s->target);
}

void sink_drain(struct sink *s, int milliseconds)
{
    if (s->writer)
        milliseconds *= FILE_DRAIN;
    for (sink_flush(s); s->start < s->end && milliseconds > 0; sink_flush(s)) {
        milliseconds -= sink_wait_a_little(s, 10);
        if (s->writer && sink_is_broken(s))
            break;
    }
    if (s->start < s->end && !sink_is_broken(s)) /* the error was reported */
        sink_report_lost(s);
}

void sink_settle(struct sink *s, int milliseconds)
{
    if (!s->writer || s->start == s->end)
        return;
    writer_kick(s->writer);
    writer_wait(s->writer, milliseconds);
}

int sink_pending_fd(const struct sink *s)
{
    return s->start < s->end && s->kind != SINK_FILE && !sink_is_broken(s) ? s->fd : -1;
}

void sink_clear(struct sink *s)
{
    atomic_flag_clear(&s->lock);
    s->start = s->end = 0;
    s->is_writing = s->is_late = false;
    if (s->writer)
        writer_forget(s->writer);
    s->writer = NULL;
    sinks_have_threads = false;
    if (s->next_fd >= 0)
        sink_replace_fd(s, s->next_fd);
    s->next_fd = -1;
}

void sinks_use_threads(void)
{
    sinks_have_threads = true;
}
