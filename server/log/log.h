/* log.h: the error log: leveled lines, `2026-01-31T12:00:00.123Z [warn] 4711#2 text`. */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct sink;

/* Where lines go, see sink_open; standard error before it is said. 0 or -errno. */
int log_open(const char *target);
struct sink *log_sink(void);

/* Make the log's file standard error too, so that what libraries and applications write there comes to it; with another
 * target standard error is again what it was. log_open does that; call it after the file was opened anew. */
void log_take_stderr(void);

/* Standard error as the process was started with it. */
int log_first_stderr(void);

/* Before the end of a process: give a slow reader a moment to take what is pending. */
void log_drain(void);

/* Lines above this level are dropped. worker is the number shown after the pid, 0 for the master. */
void log_init(enum log_level level, int worker);

bool log_enabled(enum log_level level);

/* Put the head of a line into out, which has LOG_HEAD bytes: its size. */
#define LOG_HEAD 80
size_t log_head(char *out, enum log_level level);

/* One line, written at once and without waiting; any thread. Control bytes are escaped as \xHH; a line break inside
 * text begins a continuation line, indented, so that no text can forge a line. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_vwrite(enum log_level level, const char *fmt, va_list ap);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                 \
    do {                                                                                                               \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                                              \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                                   \
    } while (0)

/* One line where standard error was before the log's file took its place, and nowhere if none did; without waiting. For
 * when the log itself cannot be written. */
void log_aside(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Log what and why, and end the process with exit code 1. For failures that nothing can go on after. */
void log_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
