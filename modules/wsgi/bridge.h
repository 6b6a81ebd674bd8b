/*
 * bridge.h: start and end of Python in a process, with all that the rooms of this module add to it.
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include "interp/interp.h"

/* What must be done before Python starts. Returns 0 or a negative errno, with the reason in the log. */
int bridge_prepare(void);

/* Starts Python for the first instance, and adds its paths for each. Leaves the GIL held if it succeeds. On the main
 * thread. Returns 0 or a negative errno, with the reason in the log. */
int bridge_acquire(const struct interp_config *config);

/* Undoes one bridge_acquire. Called with the GIL held, which is released; the last call ends Python. */
void bridge_release(void);

/* Releases the GIL after bridge_acquire, and takes it again. On the main thread. */
void bridge_leave(void);
void bridge_enter(void);

/* This process is the fork server: from now on Python is told before and after each fork. Returns 0 or a negative
 * errno. */
int bridge_become_fork_server(void);

/* This process is a worker that the fork server has forked: from now on forks are the application's own. */
void bridge_become_worker(void);

#endif
