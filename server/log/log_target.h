/* log_target.h: where a log may go, as the configuration names it: `stdout`, `stderr`, `syslog`, `syslog:FACILITY` or a
 * path. */
#ifndef LOG_TARGET_H
#define LOG_TARGET_H

#include <stdbool.h>

/* Whether it is one of the keywords or an absolute path. */
bool log_target_is_known(const char *target);

/* Whether it is a path. */
bool log_target_is_file(const char *target);

/* Returns the descriptor of standard output or standard error, or -1 if the target is neither. */
int log_target_standard_fd(const char *target);

/* Returns the facility for syslog(3), or -1 if the target is not syslog. */
int log_target_facility(const char *target);

/* Returns a datagram socket that is connected to syslogd, close-on-exec, or -1 with errno. */
int log_target_connect_syslog(void);

/* Opens a log file for appending, close-on-exec, and creates it with mode 0640. Returns the descriptor or -1 with
 * errno. */
int log_target_open_file(const char *path);

#endif
