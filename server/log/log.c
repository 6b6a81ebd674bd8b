/*
 * log.c: the error log: lines with a level.
 *
 * A line is composed on the stack (a long one in malloc'd memory) and given to a sink, which writes it at once and
 * never waits. Texts may contain what a client has sent, so they are escaped here, where all lines pass: control bytes
 * become \xHH, and a line break begins a continuation line, which is indented by two spaces. So no request can forge a
 * line.
 */
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/real.h"
#include "log/sink.h"

#define DRAIN_TIME 500 /* milliseconds that a slow reader has at the end of the process */

static struct {
    enum log_level level;
    int worker;          /* number shown in each line; 0: the master */
    struct sink *sink;   /* owned; NULL until log_open or the first line */
    int original_stderr; /* what standard error was before it was redirected to the log file; -1: it is not */
    char *kept;          /* the caller of log_keep_error, LOG_KEPT bytes; NULL: nobody wants it */
    bool takes_stdout;   /* the log file takes standard output too */
} log_state = {LOG_LEVEL_INFO, 0, NULL, -1, NULL, false};

static const struct {
    const char *name;
    int severity;
} levels[] = {{"error", LOG_ERR}, {"warn", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

static void log_clear_pending(void)
{
    sink_clear(log_state.sink);
}

static void restore_stderr(void)
{
    if (log_state.original_stderr < 0)
        return;
    real()->dup2(log_state.original_stderr, STDERR_FILENO);
    real()->close(log_state.original_stderr);
    log_state.original_stderr = -1;
}

void log_redirect_stderr(void)
{
    int fd = sink_dup_for_stderr(log_state.sink);

    if (fd < 0) {
        restore_stderr();
        return;
    }
    if (log_state.original_stderr < 0)
        log_state.original_stderr = real()->fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    real()->dup2(fd, STDERR_FILENO);
    if (log_state.takes_stdout)
        real()->dup2(fd, STDOUT_FILENO);
    real()->close(fd);
}

void log_take_stdout(void)
{
    log_state.takes_stdout = true;
}

int log_original_stderr(void)
{
    return log_state.original_stderr < 0 ? STDERR_FILENO : log_state.original_stderr;
}

int log_open(const char *target)
{
    struct sink *sink, *old = log_state.sink;

    if (!strcmp(target, "stderr"))
        restore_stderr(); /* first: the sink opens it */
    sink = sink_open(target);
    if (!sink)
        return -errno;
    if (!old)
        pthread_atfork(NULL, NULL, log_clear_pending);
    log_state.sink = sink;
    log_redirect_stderr();
    if (!old)
        return 0;
    sink_flush(old);
    sink_close(old);
    return 0;
}

struct sink *log_sink(void)
{
    if (!log_state.sink)
        log_open("stderr");
    return log_state.sink;
}

void log_drain(void)
{
    sink_drain(log_sink(), DRAIN_TIME);
}

void log_init(enum log_level level, int worker)
{
    log_state.level = level;
    log_state.worker = worker;
}

void log_set_level(enum log_level level)
{
    log_state.level = level;
}

bool log_enabled(enum log_level level)
{
    return level <= log_state.level;
}

size_t log_head(char *out, enum log_level level)
{
    struct timespec now;
    struct tm tm;
    int n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = snprintf(out, LOG_HEAD, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ [%s] %d#%d ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, levels[level].name, (int)getpid(),
                 log_state.worker);
    return (size_t)n;
}

/* Copy text to out, which holds four bytes for each of it, and escape it. Drops line breaks at the end. Returns the
 * size. */
static size_t log_escape(char *out, const char *text, size_t size)
{
    char *at = out;

    while (size > 0 && text[size - 1] == '\n')
        size--;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\n') {
            memcpy(at, "\n  ", 3);
            at += 3;
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
            at += sprintf(at, "\\x%02x", c);
        } else {
            *at++ = (char)c;
        }
    }
    return (size_t)(at - out);
}

static void log_write_line(enum log_level level, const char *text, size_t size)
{
    char space[2048], *line = space;
    size_t need = LOG_HEAD + 4 * size, n;

    if (need > sizeof(space) && !(line = malloc(need)))
        return;
    n = log_head(line, level);
    n += log_escape(line + n, text, size);
    line[n++] = '\n';
    sink_write(log_sink(), levels[level].severity, line, n, true);
    if (line != space)
        free(line);
}

void log_vwrite(enum log_level level, const char *fmt, va_list ap)
{
    int saved = errno, n;
    char space[1024], *text = space;
    va_list again;

    if (!log_enabled(level))
        return;
    va_copy(again, ap);
    n = vsnprintf(space, sizeof(space), fmt, ap);
    if (n >= (int)sizeof(space)) {
        text = malloc((size_t)n + 1);
        if (text)
            vsnprintf(text, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    if (n >= 0 && text)
        log_write_line(level, text, (size_t)n);
    if (level == LOG_LEVEL_ERROR && log_state.kept && !*log_state.kept && n >= 0 && text)
        snprintf(log_state.kept, LOG_KEPT, "%s", text);
    if (text != space)
        free(text);
    errno = saved;
}

void log_keep_error(char *text)
{
    log_state.kept = text;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vwrite(level, fmt, ap);
    va_end(ap);
}

void log_to_original_stderr(const char *fmt, ...)
{
    int fd = log_state.original_stderr;
    char line[PIPE_BUF]; /* a pipe takes so much as a whole */
    ssize_t ignored;
    va_list ap;
    size_t n;

    if (fd < 0 || !sink_is_writable(fd, 0))
        return;
    n = log_head(line, LOG_LEVEL_ERROR);
    va_start(ap, fmt);
    vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
    va_end(ap);
    n = strlen(line);
    line[n++] = '\n';
    ignored = real()->write(fd, line, n);
    (void)ignored; /* this was the last resort */
}

void log_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vwrite(LOG_LEVEL_ERROR, fmt, ap);
    va_end(ap);
    log_drain();
    exit(1);
}
