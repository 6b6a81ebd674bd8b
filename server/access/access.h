/* access.h: the access logs: a line for each request, written when it is over. */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "access/format.h"
#include "http/config.h"
#include "http/request/request.h"
#include "log/sink.h"

/* Which requests have a line, where and how: of [log], or of a mount. */
struct access_rule {
    const char *target; /* as sink_open takes it; NULL: no line */
    size_t log;         /* the target's index in the list given to access_open */
    const struct format *format;
    const char *const *exclude; /* fnmatch(3), of paths whose requests have no line; ended by NULL; NULL: none */
    int64_t sample;             /* one of so many requests has a line; those with status 500 or more always */
    int64_t skipped;            /* requests since the last one that had */
};

/* Write to these logs from now on, and no longer to those of the last call; targets ends with NULL. Returns 0, or
 * -errno with the target that cannot be opened in *failed, and then nothing has changed. */
int access_open(const char *const *targets, const char **failed);

/* Returns the n-th log, which is owned here, or NULL if there are fewer. */
struct sink *access_sink(size_t n);

/* For requests that no mount with a rule of its own has served. Borrowed. */
void access_set_default(struct access_rule *rule);

/* A request is over: write its line. */
void access_log(const struct request *req);

/* The hooks by which this and the slow log know of requests. timed: somebody else wants the timings of requests too;
 * otherwise all are NULL if there are no such logs. */
struct http_hooks access_hooks(bool timed);

/* Hand the lines over that were gathered. */
void access_flush(void);

/* Before the end of the process: give slow readers some time to take them. */
void access_drain(int milliseconds);

#endif
