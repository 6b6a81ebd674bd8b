/* sink.h: a destination of log lines: a file, a standard stream, a program, syslog, journald. Writing never waits. */
#ifndef LOG_SINK_H
#define LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>

struct sink;

/* Open a target (log/log_target.h). Returns the sink, which the caller owns, or NULL with errno. */
struct sink *sink_open(const char *target);

/* Close the sink and free it; pending lines are dropped, unless a thread writes them. */
void sink_close(struct sink *s);

/* In this process threads write to files, so that nobody waits for a slow disk. A forked child does so once it has
 * called this itself. */
void sinks_use_threads(void);

/* Add whole lines. They are written when there are enough of them, by sink_flush, or at once if now is set. severity is
 * that of syslog(3). Lines for which there is no room are dropped and counted, and the log reports how many. Any
 * thread.
 */
void sink_write(struct sink *s, int severity, const char *lines, size_t size, bool now);

/* Give whole lines to the thread of the sink. Returns false if it has none, or is in use. Async-signal-safe. */
bool sink_try_write(struct sink *s, const char *lines, size_t size);

/* Write pending lines, as far as that goes without waiting, or have the thread write them. */
void sink_flush(struct sink *s);

/* The same, waiting at most so many milliseconds, for a file ten times as long; for the end of a process. Lines that
 * are lost then are counted and reported. */
void sink_drain(struct sink *s, int milliseconds);

/* In the handler of a crash: let the thread write what is pending, if it does so in time. Async-signal-safe. */
void sink_settle(struct sink *s, int milliseconds);

/* Open the file of a target once more, for sink_reopen in this or another process. Returns the descriptor, or -1 if the
 * target is not a file or cannot be opened, which is logged. */
int sink_open_file(const char *target);

/* Write to fd from now on, and close it: the sink keeps its descriptor number. */
void sink_reopen(struct sink *s, int fd);

/* Returns a descriptor, the caller's, for standard error to be redirected to, if the target is a file or a program;
 * otherwise -1. */
int sink_dup_for_stderr(const struct sink *s);

/* Returns the descriptor that must become writable before pending lines can be written; -1 if there are none, or if it
 * makes no sense to wait for it. */
int sink_pending_fd(const struct sink *s);

/* Drop pending lines, in a forked child: the parent writes them. */
void sink_clear(struct sink *s);

/* Whether fd can be written to without waiting, or becomes so within so many milliseconds. Async-signal-safe. */
bool sink_is_writable(int fd, int milliseconds);

/* Returns the descriptor that a signal handler may write to. */
int sink_fd(const struct sink *s);

#endif
