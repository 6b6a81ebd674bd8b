/* target.h: where a log may go, as the configuration names it: `stderr`, `syslog`, `syslog:FACILITY` or a path. */
#ifndef LOGTARGET_H
#define LOGTARGET_H

#include <stdbool.h>

/* Whether it is one of the words, or an absolute path. */
bool logtarget_is_known(const char *target);

/* Whether it is a path. */
bool logtarget_is_file(const char *target);

/* The facility of syslog(3) that it names, or -1 if it is not syslog. */
int logtarget_facility(const char *target);

/* A datagram socket to syslogd, close-on-exec; or -1 with errno. */
int logtarget_connect_syslog(void);

/* A log file, made with mode 0640 where there is none, to append to; close-on-exec. Or -1 with errno. */
int logtarget_open_file(const char *path);

#endif
