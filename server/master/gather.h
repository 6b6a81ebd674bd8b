/* gather.h: ask all workers, and gather what they answer. */
#ifndef MASTER_GATHER_H
#define MASTER_GATHER_H

#include <stddef.h>
#include <stdint.h>

#include "master/workers.h"
#include "process/channel.h"

/* What is known of one worker. */
struct gathered {
    pid_t pid;
    int number;
    enum worker_state state;
    int64_t born;      /* CLOCK_MONOTONIC nanoseconds */
    int64_t silent;    /* nanoseconds for which it has not answered a ping; 0: it has */
    bool asked;        /* and neither has it answered, nor has it ended */
    bool is_stuck;     /* it has not answered in time */
    int file;          /* owned; in memory, for its answer; -1: none */
    char *answer;      /* owned; NULL: none */
    size_t size;       /* of the answer */
    char *whereabouts; /* owned; where it is stuck: a line about the request, and its stack; NULL: nobody knows */
    char *running;     /* owned; what requests it had then, lines of inside/running_raw.h; NULL: nobody knows */
    char *note;        /* owned; what is odd about it; NULL: nothing */
};

struct gathering {
    struct list link;
    int32_t number;
    int64_t begun;            /* CLOCK_MONOTONIC nanoseconds */
    bool pressed;             /* those that had not answered were asked where they are */
    struct gathered *workers; /* owned */
    size_t count;
    void (*done)(const struct gathering *g, void *arg); /* called once; then it is freed */
    void *arg;
};

/* Ask a line of inside/question.h of all workers, or of the one with this pid (0: all). done(arg) is called when all
 * have answered, or in a second; not from here. */
void gather_start(const char *line, pid_t pid, void (*done)(const struct gathering *g, void *arg), void *arg);

/* Nobody wants to know any more: done is not called for this arg. */
void gather_forget(const void *arg);

/* A worker has answered the question of that number, has said where it is, which requests it has, has ended. */
void gather_on_answer(const struct worker *w, int32_t number);
void gather_on_report(const struct worker *w, const char *text);
void gather_on_running(const struct worker *w, const char *lines);
void gather_on_exit(const struct worker *w);

/* Whether a worker has answered with anything. */
bool gathering_has_answer(const struct gathering *g);

/* Do what is due. Returns the CLOCK_MONOTONIC nanoseconds when more is, or WAIT_FOREVER. */
int64_t gather_step(int64_t now);

#endif
