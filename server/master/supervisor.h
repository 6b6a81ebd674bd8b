/* supervisor.h: starts, replaces and ends workers one by one, so that the server always serves. */
#ifndef MASTER_SUPERVISOR_H
#define MASTER_SUPERVISOR_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/generation.h"

/* To be called first. close_inherited is called in each forked child, to close what belongs to the master. */
void supervisor_init(void (*close_inherited)(void));

/* Take over g: workers are to be of this generation from now on. The present ones stay until others are ready to
 * replace them; if the first of those cannot start, the supervisor rolls back to the generation before. */
void supervisor_adopt(struct generation *g);

/* Returns the CLOCK_MONOTONIC nanoseconds from which supervisor_adopt may be called. That gives the first worker of the
 * last generation some time to start; after that it gives way to the next. */
int64_t supervisor_adopts_from(void);

/* Returns the generation that workers are of or are to be of. Borrowed. */
struct generation *supervisor_generation(void);

enum supervisor_state {
    SUPERVISOR_CHANGING, /* workers are being started or replaced */
    SUPERVISOR_STEADY,   /* all wanted workers serve */
    SUPERVISOR_FAILED,   /* no worker can be started; see supervisor_exit_code */
};
enum supervisor_state supervisor_state(void);

/* Returns the exit code for SUPERVISOR_FAILED; otherwise 0. */
int supervisor_exit_code(void);

/* Returns the exit code of what could not start if the last supervisor_adopt was rolled back, once; otherwise 0. */
int supervisor_rolled_back(void);

/* Want one worker more or less, by +1 or -1, but at least one. Until the next supervisor_adopt. */
void supervisor_change_wanted(int by);

/* Returns how many workers are wanted. */
size_t supervisor_wanted(void);

/* Stop all workers gently, and start no others until the next supervisor_adopt. */
void supervisor_drain(void);

/* Send the signal to all workers, and kill those that still live timeout nanoseconds later. Starts no others. */
void supervisor_stop(int signum, int64_t timeout);

/* Whether there is a worker or fork server that has not been reaped. */
bool supervisor_has_processes(void);

/* Reopen the log files of all workers and fork servers. */
void supervisor_reopen_logs(void);

/* Whether a worker has answered a ping lately, the supervisor is able to replace those that do not, or none is wanted.
 */
bool supervisor_is_good(void);

/* Look for processes that hang; start and kill workers as far as that is due. Returns the CLOCK_MONOTONIC nanoseconds
 * when more is due, or WAIT_FOREVER. */
int64_t supervisor_step(void);

/* Fill in the descriptors to poll, up to capacity. Returns how many there are. */
size_t supervisor_polls(struct pollfd *polls, size_t capacity);

/* To be called for each of them that is ready. */
void supervisor_on_readable(int fd);

/* A child was reaped. Returns whether it was a worker or a fork server. */
bool supervisor_on_exit(pid_t pid, int status);

/* In a forked child: close the channels. */
void supervisor_close_channels(void);

/* When all workers have ended: end the fork servers and let go of the generations. */
void supervisor_release(void);

#endif
