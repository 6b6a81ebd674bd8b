/* sink.h: a place where log lines go: a file, standard error, syslog. Writing never waits. */
#ifndef SINK_H
#define SINK_H

#include <stdbool.h>
#include <stddef.h>

struct sink;

/* Open what a target names (logtarget.h). NULL with errno. */
struct sink *sink_open(const char *target);

/* What is still pending is dropped. */
void sink_close(struct sink *s);

/* Add whole lines: they are written when enough have come together, by sink_flush, or at once if now is set. severity:
 * of syslog(3). What finds no room is dropped and counted, and the log tells how much that was. Any thread. */
void sink_put(struct sink *s, int severity, const char *lines, size_t size, bool now);

/* Write what is pending, as far as that goes without waiting. */
void sink_flush(struct sink *s);

/* The same, waiting at most so many milliseconds; at the end of a process. */
void sink_drain(struct sink *s, int milliseconds);

/* The file of a target, opened anew, to be given to sink_renew here or in another process; -1 if it cannot be opened,
 * which the log then says, or is no file. */
int sink_open_file(const char *target);

/* Write to fd from now on, which is consumed. Descriptor numbers stay. */
void sink_renew(struct sink *s, int fd);

/* Whether its target is a file. */
bool sink_is_file(const struct sink *s);

/* The descriptor to await for what is pending, or -1 if nothing is, or it cannot be awaited. */
int sink_awaits(const struct sink *s);

/* In a forked child: what is pending is the parent's to write. */
void sink_forget(struct sink *s);

/* Whether a write to fd would not wait, or not after so many milliseconds, below 1000; also in a signal handler. */
bool sink_has_room(int fd, int milliseconds);

/* The descriptor, for a last word from a signal handler. */
int sink_fd(const struct sink *s);

#endif
