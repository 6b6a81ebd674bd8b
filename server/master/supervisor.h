/* supervisor.h: the workers: started, replaced and ended one by one, such that the server always serves. */
#ifndef MASTER_SUPERVISOR_H
#define MASTER_SUPERVISOR_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/generation.h"

/* Before the first generation. clean is called in each forked child, to close what belongs to the master. */
void supervisor_init(void (*clean)(void));

/* From now on the workers are to be of this generation, which is the crew's then. Those there are stay until others are
 * ready to take their place; if the first of these cannot start, all stays as it was. */
void supervisor_adopt(struct generation *g);

/* When supervisor_adopt may be called: now, or CLOCK_MONOTONIC nanoseconds. The first worker of the generation before
 * it has that long to start; then it is given up for the next. */
int64_t supervisor_adopts_from(void);

/* What workers are of now, or will be. */
struct generation *supervisor_generation(void);

enum supervisor_state {
    SUPERVISOR_CHANGING, /* workers are being started or replaced */
    SUPERVISOR_STEADY,   /* all that shall be there serve */
    SUPERVISOR_FAILED,   /* no worker can be started; supervisor_exit_code says how */
};
enum supervisor_state supervisor_state(void);
int supervisor_exit_code(void);

/* Whether the last supervisor_adopt came to nothing; asking clears that. */
bool supervisor_rolled_back(void);

/* One worker more, or less; -1 leaves at least one. Until the next supervisor_adopt. */
void supervisor_change_wanted(int by);

/* Let the workers end, and start no others until the next supervisor_adopt. */
void supervisor_drain(void);

/* Send all the signal, and kill those that still live after so many nanoseconds. No others are started. */
void supervisor_stop(int signum, int64_t patience);

/* Whether any process of the crew is left. */
bool supervisor_has_workers(void);

/* How many workers there shall be. */
size_t supervisor_wanted(void);

/* Send all of the crew their log files, opened anew. */
void supervisor_reopen_logs(void);

/* Ask all workers for a sign of life. Returns whether any that serves has answered the time
 * before, or none shall serve. */
bool supervisor_ping(void);

/* Do what is due. Returns CLOCK_MONOTONIC nanoseconds of the next such time, or WAIT_FOREVER. */
int64_t supervisor_step(void);

/* Descriptors to poll: fill in at most room, and return how many there are. Then, for each that is ready: */
size_t supervisor_polls(struct pollfd *polls, size_t room);
void supervisor_on_readable(int fd);

/* A child has ended. Returns whether it was one of the supervisor. */
bool supervisor_on_exit(pid_t pid, int status);

/* Close what belongs to the master, in a child. */
void supervisor_close_channels(void);

#endif
