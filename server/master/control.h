/* control.h: the Unix socket by which an operator asks the master, and tells it what to do. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "master/overview.h"

struct control_hooks {
    void (*signal)(int signum); /* do what this signal to the master does */
    struct overview_master (*master)(void);
};

void control_init(const struct control_hooks *hooks);

/* Listen at that path from now on, and no longer at another one; NULL: nowhere. Returns 0, or -errno after a message,
 * and then nothing has changed. */
int control_open(const char *path);

/* The file of the socket is gone or another's, who is gone: make it again. */
void control_check(void);

/* Close all; the file of the socket is removed if it is still ours. */
void control_close(void);

/* In a forked child: close all descriptors. */
void control_forget(void);

/* A reload is over: exit_code and reason as reload_state_end has them. */
void control_reload_is_over(int exit_code, const char *reason);

/* As those of supervisor.h. */
size_t control_polls(struct pollfd *polls, size_t capacity);
void control_on_ready(int fd);
int64_t control_step(int64_t now);

#endif
