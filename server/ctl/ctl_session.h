/* ctl_session.h: a session with a worker, over the control socket: console and debug. */
#ifndef CTL_SESSION_H
#define CTL_SESSION_H

#include <stdbool.h>

/* Whether a line to the server asks for one. */
bool ctl_is_session(const char *line);

/* Pass on what is typed, and print what comes, up to the end of the session. fd: the socket, after the first line of
 * the answer. Returns the exit code. */
int ctl_session(int fd);

/* A worker may run code of anybody: what it says does not control the terminal. */
void ctl_disarm(char *text, size_t size);

#endif
