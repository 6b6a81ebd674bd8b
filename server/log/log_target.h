/* log_target.h: where a log may go, as the configuration names it: `stdout`, `stderr`, `syslog`, `syslog:FACILITY`,
 * `journal`, `|COMMAND` or a path. */
#ifndef LOG_TARGET_H
#define LOG_TARGET_H

#include <stdbool.h>

/* Whether it is one of the keywords, a command or an absolute path. */
bool log_target_is_known(const char *target);

/* Whether it is a path. */
bool log_target_is_file(const char *target);

/* Returns the descriptor of standard output or standard error, or -1 if the target is neither. */
int log_target_standard_fd(const char *target);

/* Returns the facility for syslog(3), or -1 if the target is not syslog. */
int log_target_facility(const char *target);

/* Whether it is journald. */
bool log_target_is_journal(const char *target);

/* Returns the command for the shell, or NULL if the target is none. */
const char *log_target_command(const char *target);

/* Returns a datagram socket that is connected to syslogd or journald, close-on-exec, or -1 with errno. */
int log_target_connect(const char *target);

/* Opens a log file for appending, close-on-exec, and creates it with mode 0640. Returns the descriptor or -1 with
 * errno. */
int log_target_open_file(const char *path);

#endif
