/* overview.h: what all workers have answered, as one document. */
#ifndef MASTER_OVERVIEW_H
#define MASTER_OVERVIEW_H

#include "base/text.h"
#include "inside/question.h"
#include "master/gather.h"

/* What the master says of itself. */
struct overview_master {
    const char *state; /* "serving", "changing", "draining" or "stopping" */
    int64_t started;   /* CLOCK_MONOTONIC nanoseconds */
};

/* Write it: JSON or text, as the question wants. */
void overview_write(const struct question *q, const struct overview_master *master, const struct gathering *g,
                    struct text *out);

#endif
