/* question.h: what an operator asks of a running server, as a line of text. */
#ifndef INSIDE_QUESTION_H
#define INSIDE_QUESTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define QUESTION_SIZE 1024 /* bytes of a line at most */

enum ask {
    ASK_PING,
    ASK_STATUS,
    ASK_ABOUT, /* versions and configuration */
    ASK_READY,
    ASK_WORKERS,
    ASK_REQUESTS,
    ASK_TRACE, /* the same with stacks */
    ASK_CANCEL,
    ASK_CONSOLE, /* a session, which the client has with a worker; so is the next */
    ASK_DEBUG,
    ASK_METRICS,
    ASK_LOG,
    ASK_RELOAD,
    ASK_REOPEN,
    ASK_CHANGE_WORKERS,
    ASK_DRAIN,
    ASK_STOP,
    ASK_RECORD,  /* the events of the flight recorder */
    ASK_PROFILE, /* begin a profile, or what is new in it */
};

struct question {
    enum ask what;
    bool json;        /* the answer is JSON, and not text to be read */
    bool wait;        /* ASK_RELOAD: answer when it is over */
    int64_t older;    /* ASK_REQUESTS, ASK_TRACE: only requests that are so many nanoseconds old */
    size_t limit;     /* the same: only the oldest ones of each worker; 0: all */
    pid_t pid;        /* ASK_TRACE, ASK_CANCEL, ASK_DEBUG: the request's worker; 0: all requests. ASK_CONSOLE: the
                         worker; 0: any */
    uint64_t number;  /* and its number there */
    int change;       /* ASK_CHANGE_WORKERS: how many more */
    bool plain;       /* ASK_METRICS: in the older text format of Prometheus, not as OpenMetrics */
    int level;        /* ASK_LOG: enum log_level */
    uint64_t profile; /* ASK_PROFILE: which one */
    int rate;         /* the same: samples per second; 0: it ends */
    char prefix[256]; /* the same: only of requests whose target begins so; "": of all */
};

/* Read a line: [json] COMMAND [ARGUMENT...], separated by spaces. Returns NULL, or what is wrong with it, a static
 * text.
 */
const char *question_parse(struct question *q, const char *line);

/* Read "PID.NUMBER", as running requests are called. */
bool question_parse_id(const char *text, pid_t *pid, uint64_t *number);

#endif
