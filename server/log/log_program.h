/* log_program.h: programs that take a log, as the configuration has them: `|COMMAND`. All of this is the master's. */
#ifndef LOG_PROGRAM_H
#define LOG_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Start the command, unless it runs already. Returns a descriptor to write to, the caller's, close-on-exec and
 * non-blocking; or -1 with errno. */
int log_program_open(const char *command);

/* What is opened from now on is used, and the others are closed then: they end when the last process has closed its
 * descriptor, and so have all lines. */
void log_programs_unused(void);
void log_programs_close_unused(void);

/* A child has ended. Returns whether it was one of these programs, which is started again. */
bool log_program_on_exit(pid_t pid, int status);

/* Start those again that are due. Returns the CLOCK_MONOTONIC nanoseconds at which more are; INT64_MAX: none. */
int64_t log_programs_step(int64_t now);

/* In a forked child, which keeps only the descriptors of its logs. */
void log_programs_close(void);

/* At the end of the master, when its own logs are closed or this is the last to be said: close all, and give the
 * programs some time to end. */
void log_programs_end(int milliseconds);

#endif
