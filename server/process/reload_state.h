/*
 * reload_state.h: what became of the last reload, as the master shows it to `-s reload`.
 *
 * That any process is a master is seen by this, too.
 */
#ifndef PROCESS_RELOAD_STATE_H
#define PROCESS_RELOAD_STATE_H

#include <stdint.h>
#include <sys/types.h>

struct reload_state {
    uint32_t begun;    /* reloads since the start of the master */
    uint32_t ended;    /* the last of these that has come to its end; one that gave way to the next has none */
    int32_t exit_code; /* what a server would have exited with that was started with the new configuration; 0: good */
    char reason[1000]; /* why the last one has failed; "" if it has not */
};

/* ---- in the master ---- */

/* Show it from now on. A failure is logged. */
void reload_state_init(void);

/* In a forked child, which is no master. */
void reload_state_close(void);

/* A reload begins, and ends: exit_code as in the struct; reason may be NULL if that is 0. An end without a beginning is
 * ignored. */
void reload_state_begin(void);
void reload_state_end(int exit_code, const char *reason);

/* Returns why the last reload has failed, or NULL. */
const char *reload_state_failure(void);

/* ---- in other processes ---- */

/* Returns a descriptor for reload_state_read. -ESRCH: there is no such process; -ENOENT: it is no master, or one of a
 * version that shows nothing; -EACCES: it cannot be looked at. */
int reload_state_open(pid_t pid);

/* Read it. Returns 0 or -errno. */
int reload_state_read(int fd, struct reload_state *state);

#endif
