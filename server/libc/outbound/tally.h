/* tally.h: how many connections each worker has to one peer, in memory that the workers and the master share. */
#ifndef LIBC_TALLY_H
#define LIBC_TALLY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tally;

/* Figures since the tally was made, over all workers. */
struct tally_counts {
    uint32_t open, most; /* connections now, and at most at once */
    uint64_t opened;     /* connections */
    uint64_t waited;     /* connections that had to wait */
    int64_t waited_for;  /* nanoseconds, all together */
    uint64_t given_up;   /* after queue-timeout */
};

/* Returns memory that children of this process share, never freed; NULL with errno. */
struct tally *tally_new(void);

/* In a worker: returns its cell, which ends with the process; -1: there are too many processes. */
int tally_join(struct tally *tally);

/* In the master: the process has died, and has no connections any more. */
void tally_drop(struct tally *tally, pid_t pid);

/* Count a connection of the worker with that cell, if all workers have fewer than max; 0: no limit. Any thread. */
bool tally_take(struct tally *tally, int cell, uint32_t max);
void tally_give(struct tally *tally, int cell);

/* Somebody in this worker waits since then (CLOCK_MONOTONIC nanoseconds), and looks again within 10 ms; 0: nobody. */
void tally_wait(struct tally *tally, int cell, int64_t since);

/* Whether somebody in another worker, which looks for its turn, waits for much longer. */
bool tally_has_older(const struct tally *tally, int cell, int64_t since);

/* Count one that has waited for so many nanoseconds. */
void tally_count_wait(struct tally *tally, int64_t nanoseconds, bool given_up);

void tally_counts(const struct tally *tally, struct tally_counts *counts);

#endif
