/* nsswitch.h: from where libc takes names, by nsswitch.conf. */
#ifndef LIBC_NSSWITCH_H
#define LIBC_NSSWITCH_H

#include <stdbool.h>

/* Whether host names come from hosts and DNS, and from nothing else. */
bool nsswitch_hosts_are_plain(void);

/* Whether a database, such as passwd, is in files only: no daemon is asked. */
bool nsswitch_is_local(const char *database);

/* For tests: another file than the system's; NULL: the system's. */
void nsswitch_use(const char *other);

#endif
