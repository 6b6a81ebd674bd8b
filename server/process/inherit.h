/* inherit.h: listening sockets that this process was started with: by systemd, or by the binary it takes over from. */
#ifndef PROCESS_INHERIT_H
#define PROCESS_INHERIT_H

#include <stdbool.h>
#include <sys/types.h>

/* Take them from the environment, and that out of it. */
void inherit_init(void);

/* The pid of the master that started us in its place, or 0. */
pid_t inherit_predecessor(void);

/* The predecessor's socket for an address as the ini file writes it, which is the caller's then, or -1. */
int inherit_take(const char *text);

/* How many sockets systemd passes, the first is descriptor 3: they take the place of `bind`. */
int inherit_activated(void);

/* For a successor that is about to be executed: begin, and add each socket. */
void inherit_export(bool activated);
void inherit_export_socket(const char *text, int fd);

/* Close what nobody took. */
void inherit_close(void);

#endif
