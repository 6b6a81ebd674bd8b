/*
 * log.c: leveled lines on stderr.
 *
 * A line is put together on the stack (long ones in malloc'd memory) and written with one write(2), so that lines of
 * several processes do not mix. What a client can put into a text is escaped here, in the one place all lines pass, so
 * that no request can forge a line: control bytes become \xHH, and a line break begins a continuation line indented by
 * two spaces, which no head line ever is.
 */
#include "log.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    enum log_level level;
    int worker;
} log_state = {LOG_LEVEL_INFO, 0};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_init(enum log_level level, int worker)
{
    log_state.level = level;
    log_state.worker = worker;
}

bool log_enabled(enum log_level level)
{
    return level <= log_state.level;
}

static size_t put_head(char *out, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm tm;
    int n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ [%s] %d#%d ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, level_names[level], (int)getpid(),
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

static void write_all(const char *p, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, p, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to complain */
        p += n;
        size -= (size_t)n;
    }
}

static void write_line(enum log_level level, const char *text, size_t size)
{
    char space[2048], *line = space;
    size_t need = 80 + 4 * size, n;

    if (need > sizeof(space) && !(line = malloc(need)))
        return;
    n = put_head(line, 80, level);
    n += put_escaped(line + n, text, size);
    line[n++] = '\n';
    write_all(line, n);
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

void log_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vwrite(LOG_LEVEL_ERROR, fmt, ap);
    va_end(ap);
    exit(1);
}
