/* inherit.h: listen sockets that this process was started with, by systemd or by the master it is an upgrade of. */
#ifndef PROCESS_INHERIT_H
#define PROCESS_INHERIT_H

#include <stdbool.h>
#include <sys/types.h>

/* Read the environment variables that name them, and remove these. */
void inherit_init(void);

/* The pid of the master that started this one for an upgrade, or 0. */
pid_t inherit_predecessor(void);

/* Returns the predecessor's socket for an address as the ini file has it, now the caller's; -1: there is none. */
int inherit_take(const char *text);

/* The number of sockets that systemd has passed, as descriptors from INHERIT_FIRST_FD on. They replace `bind`. */
#define INHERIT_FIRST_FD 3 /* SD_LISTEN_FDS_START */
int inherit_activated(void);

/* In the process that is about to execute a new binary: set the variables for it, then add each socket. */
void inherit_export(bool activated);
void inherit_export_socket(const char *text, int fd);

/* Close the predecessor's sockets that nobody has taken. */
void inherit_close(void);

#endif
