/* log.h: the error log: lines with a level, `2026-01-31T12:00:00.123Z [warn] 4711#2 text`. */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct sink;

/* Write the log to a target (log/log_target.h) from now on. Without this call it goes to standard error. Returns 0 or
 * -errno, and then nothing has changed. */
int log_open(const char *target);

/* Returns the log's sink, which the log owns. */
struct sink *log_sink(void);

/* Redirect standard error to the log file, so that what libraries and applications write there is logged too; if the
 * log is not a file, restore it. log_open does that; to be called after sink_reopen. */
void log_redirect_stderr(void);

/* Redirect standard output as well from now on, for a process in the background. Before log_open. */
void log_take_stdout(void);

/* Returns the descriptor of standard error as the process was started with it. */
int log_original_stderr(void);

/* Before the end of the process: give a slow reader a moment to take pending lines. */
void log_drain(void);

/* Drop lines above this level. worker is the number shown after the pid, 0 for the master. */
void log_init(enum log_level level, int worker);

/* Drop lines above this level from now on. */
void log_set_level(enum log_level level);

bool log_enabled(enum log_level level);

/* Write the head of a line to out, which has LOG_HEAD bytes. Returns its size. */
#define LOG_HEAD 80
size_t log_head(char *out, enum log_level level);

/* Log one line, written at once and without waiting. Any thread; errno is kept. Control bytes are escaped as \xHH; a
 * line break in the text begins a continuation line, which is indented, so that no text can forge a line. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_vwrite(enum log_level level, const char *fmt, va_list ap);

/* Copy the text of the next error that is logged, cut to LOG_KEPT bytes, to text, which holds ""; until a call with
 * NULL. */
#define LOG_KEPT 1024
void log_keep_error(char *text);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                 \
    do {                                                                                                               \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                                              \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                                   \
    } while (0)

/* Write a line to log_original_stderr(), without waiting; nothing if standard error is not redirected. For when the log
 * itself cannot be written. */
void log_to_original_stderr(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Log an error and exit with code 1. For failures after which the process cannot go on. */
void log_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
