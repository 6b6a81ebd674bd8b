/* syslog.h: for tests of syslog(3). */
#ifndef LIBC_SYSLOG_H
#define LIBC_SYSLOG_H

/* Look at this socket in place of /dev/log; NULL: at that. */
void syslog_use(const char *path);

#endif
