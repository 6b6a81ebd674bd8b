/* standing.h: how a request stands: what it does now, and where its time has gone. */
#ifndef INSIDE_STANDING_H
#define INSIDE_STANDING_H

#include "base/text.h"
#include "http/request/request.h"
#include "wait/reason.h"

enum doing {
    DOES_RUN,   /* it has the OS thread */
    DOES_QUEUE, /* it is ready, and others run */
    DOES_WAIT,
};

/* Times are nanoseconds. cpu, ready, pool and all of waited make up total. */
struct standing {
    int64_t total;  /* since its head was complete */
    int64_t queued; /* before that, since its first bytes came */
    int64_t cpu;    /* with the OS thread of the event loop */
    int64_t ready, pool, waited[WAIT_KINDS];
    uint32_t waits[WAIT_KINDS];
    const struct reason_peers *peers; /* borrowed from the coroutine; NULL: none */
    enum doing doing;
    int64_t since;       /* for how long it does that */
    enum wait_kind kind; /* of its present wait */
    char of[REASON_TEXT_SIZE];
};

/* Fill in how the request of this coroutine stands. On the loop's thread. co: NULL if it has none. */
void standing_take(struct standing *s, const struct request *req, const struct coro *co);

/* The same without `of`, which may take a system call. */
void standing_take_times(struct standing *s, const struct request *req, const struct coro *co);

/* What log-format, Server-Timing and the slow log call the parts: "queue", "cpu", "ready", "pool", "wait" for all
 * waits, "wait.KIND". Returns the number of the part, which standing_part takes; -1: there is no such part. */
int standing_part_by_name(const char *name, size_t size);
int64_t standing_part(const struct standing *s, int part);

/* Write it as lines of text, each behind a line break and two spaces: its parts, and its peers. */
void standing_write_lines(const struct standing *s, struct text *out);

/* Write what it does: "waits 0.998 s for socket 10.0.0.5:5432". */
void standing_write_doing(const struct standing *s, struct text *out);

#endif
