/* ctl.h: how syncless-ctl reaches a server, and how it fails. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdio.h>

/* End the program with an exit code, after a message on standard error. */
__attribute__((format(printf, 2, 3), noreturn)) void ctl_fail(int code, const char *fmt, ...);

/* Returns a connection to the socket at that path. Ends the program if there is none. */
int connect_server(const char *path);

/* Send a line of inside/question.h. */
void send_line(int fd, const char *line);

/* Read the first line of the answer. Returns the exit code that it has. */
int ctl_read_code(FILE *in);

#endif
