/*
 * log.c: the error log: leveled lines.
 *
 * A line is put together on the stack (long ones in malloc'd memory) and handed to a sink, which writes it at once and
 * never waits. What a client can put into a text is escaped here, in the one place all lines pass, so that no request
 * can forge a line: control bytes become \xHH, and a line break begins a continuation line indented by two spaces,
 * which no head line ever is.
 */
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log/sink.h"

#define LAST_WORDS 500 /* milliseconds that the reader of the log has at the end */

static struct {
    enum log_level level;
    int worker;
    struct sink *sink; /* NULL: nothing was said yet */
    int stderr_before; /* standard error as it was, while a file is in its place; -1: it is where it was */
} log_state = {LOG_LEVEL_INFO, 0, NULL, -1};

static const struct {
    const char *name;
    int severity;
} levels[] = {{"error", LOG_ERR}, {"warn", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

static void forget(void)
{
    sink_forget(log_state.sink);
}

static void give_stderr_back(void)
{
    if (log_state.stderr_before < 0)
        return;
    dup2(log_state.stderr_before, STDERR_FILENO);
    close(log_state.stderr_before);
    log_state.stderr_before = -1;
}

void log_take_stderr(void)
{
    if (!sink_is_file(log_state.sink)) {
        give_stderr_back();
        return;
    }
    if (log_state.stderr_before < 0)
        log_state.stderr_before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    dup2(sink_fd(log_state.sink), STDERR_FILENO);
}

int log_first_stderr(void)
{
    return log_state.stderr_before < 0 ? STDERR_FILENO : log_state.stderr_before;
}

int log_open(const char *target)
{
    struct sink *sink, *before = log_state.sink;

    if (!strcmp(target, "stderr"))
        give_stderr_back(); /* first: that is what is to be opened */
    sink = sink_open(target);
    if (!sink)
        return -errno;
    if (!before)
        pthread_atfork(NULL, NULL, forget);
    log_state.sink = sink;
    log_take_stderr();
    if (!before)
        return 0;
    sink_flush(before);
    sink_close(before);
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
    sink_drain(log_sink(), LAST_WORDS);
}

void log_init(enum log_level level, int worker)
{
    log_state.level = level;
    log_state.worker = worker;
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

/* Copy text escaped; out has room for four bytes each. Line breaks at the end are dropped. */
static size_t put_escaped(char *out, const char *text, size_t size)
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

static void write_line(enum log_level level, const char *text, size_t size)
{
    char space[2048], *line = space;
    size_t need = LOG_HEAD + 4 * size, n;

    if (need > sizeof(space) && !(line = malloc(need)))
        return;
    n = log_head(line, level);
    n += put_escaped(line + n, text, size);
    line[n++] = '\n';
    sink_put(log_sink(), levels[level].severity, line, n, true);
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
        write_line(level, text, (size_t)n);
    if (text != space)
        free(text);
    errno = saved;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vwrite(level, fmt, ap);
    va_end(ap);
}

void log_aside(const char *fmt, ...)
{
    struct pollfd out = {.fd = log_state.stderr_before, .events = POLLOUT};
    char line[PIPE_BUF]; /* so much goes into a pipe as a whole */
    va_list ap;
    size_t n;

    if (out.fd < 0 || syscall(SYS_poll, &out, 1, 0) != 1)
        return;
    n = log_head(line, LOG_LEVEL_ERROR);
    va_start(ap, fmt);
    vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
    va_end(ap);
    n = strlen(line);
    line[n++] = '\n';
    syscall(SYS_write, out.fd, line, n);
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
