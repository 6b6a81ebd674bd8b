/* liveness.h: find processes that hang: workers that do not answer, and starts that do not end. */
#ifndef MASTER_LIVENESS_H
#define MASTER_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "settings/process.h"

enum life_question { LIFE_NOT_ASKED, LIFE_SLOW_START, LIFE_START_OVER, LIFE_SILENT };

/* What the master knows of the life of a worker or a fork server. Times are CLOCK_MONOTONIC nanoseconds. */
struct life {
    char name[32]; /* "worker 1 (pid 4711)" */
    pid_t pid;
    const struct process_settings *settings; /* borrowed; of its generation */
    int64_t started;                         /* when its start began */
    int64_t told;                            /* the length of its start that the log has told of */
    int64_t ping_due;                        /* when it is to be sent a ping */
    int64_t pinged;                          /* when it was sent one that it has not answered; 0: it has */
    enum life_question asked;                /* what for it was asked where it is; its answer is awaited */
    int64_t answer_due;                      /* until then */
    bool replaceable;                        /* it serves; another one can take its place */
    bool traced;                             /* by a debugger; the log has said so */
    bool start_is_over;                      /* its start has taken too long; it is to be killed */
    bool stuck;                              /* it does not answer; it is to be replaced or killed */
};

/* name: printf format with the number. */
void life_begin(struct life *life, const char *name, pid_t pid, const struct process_settings *settings);

/* It is about to be killed, or has been reaped: others may be found to be stuck. */
void life_end(struct life *life);

/* Look after a process that starts, and one that serves or stops (replaceable: serves). Sets start_is_over or stuck,
 * after a message. channel: to it. *next is set to the time of the next look if that is earlier. */
void life_check_start(struct life *life, int64_t now, int64_t *next);
void life_check_pulse(struct life *life, int channel, bool replaceable, int64_t now, int64_t *next);

/* It has answered a ping, or become ready. */
void life_on_answer(struct life *life);

/* It has said where it is; text: of a CHANNEL_REPORT. */
void life_on_report(struct life *life, const char *text);

/* It has sent a CHANNEL_OVERDUE. */
void life_on_overdue(struct life *life, const char *text);

/* Returns by how much the master itself is late, as it is after it was stopped or when the machine has no time for it:
 * then nobody is to be blamed for not having answered. To be called before the looks, with what the last ones have set
 * *next to; 0: there were none. */
int64_t liveness_late(int64_t now, int64_t next);
void life_excuse(struct life *life, int64_t late, int64_t now);

/* Whether the service lives, for systemd: a worker has answered lately, or the master is able to repair it. */
bool liveness_is_good(const struct process_settings *settings, int64_t now);

#endif
