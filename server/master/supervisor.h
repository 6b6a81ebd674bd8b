/* supervisor.h: the workers: started, replaced and ended one by one, such that the server always serves. */
#ifndef MASTER_CREW_H
#define MASTER_CREW_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/generation.h"

/* Before the first generation. clean is called in each forked child, to close what belongs to the master. */
void crew_init(void (*clean)(void));

/* From now on the workers are to be of this generation, which is the crew's then. Those there are stay until others are
 * ready to take their place; if the first of these cannot start, all stays as it was. */
void crew_adopt(struct generation *g);

/* When crew_adopt may be called: now, or CLOCK_MONOTONIC nanoseconds. The first worker of the generation before it has
 * that long to start; then it is given up for the next. */
int64_t crew_adopts_from(void);

/* What workers are of now, or will be. */
struct generation *crew_generation(void);

enum crew_state {
    CREW_CHANGING, /* workers are being started or replaced */
    CREW_STEADY,   /* all that shall be there serve */
    CREW_FAILED,   /* no worker can be started; crew_exit_code says how */
};
enum crew_state crew_state(void);
int crew_exit_code(void);

/* Whether the last crew_adopt came to nothing; asking clears that. */
bool crew_gave_up(void);

/* One worker more, or less; -1 leaves at least one. Until the next crew_adopt. */
void crew_change(int by);

/* Let the workers end, and start no others until the next crew_adopt. */
void crew_drain(void);

/* Send all the signal, and kill those that still live after so many nanoseconds. No others are started. */
void crew_stop(int signum, int64_t patience);

/* Whether any process of the crew is left. */
bool crew_alive(void);

/* How many workers there shall be. */
size_t crew_wanted(void);

/* Send all of the crew their log files, opened anew. */
void crew_reopen_logs(void);

/* Ask all workers for a sign of life. Returns whether any that serves has answered the time
 * before, or none shall serve. */
bool crew_ping(void);

/* Do what is due. Returns CLOCK_MONOTONIC nanoseconds of the next such time, or WAIT_FOREVER. */
int64_t crew_attend(void);

/* Descriptors to poll: fill in at most room, and return how many there are. Then, for each that is ready: */
size_t crew_polls(struct pollfd *polls, size_t room);
void crew_on_ready(int fd);

/* A child has ended. Returns whether it was one of the crew. */
bool crew_on_death(pid_t pid, int status);

/* Close what belongs to the master, in a child. */
void crew_forget(void);

#endif
