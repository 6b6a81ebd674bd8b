/* record.h: a request that is over, and the variables of log-format that describe it. */
#ifndef ACCESS_RECORD_H
#define ACCESS_RECORD_H

#include <stdint.h>

#include "http/request/request.h"
#include "http/request/token.h"
#include "inside/standing.h"

/* What several variables of a line need. */
struct record {
    const struct request *req;
    const char *argument;     /* of the present variable: a field name */
    int64_t total;            /* nanoseconds from the request's head to its end */
    int64_t busy;             /* nanoseconds of these in which it held the OS thread */
    int part;                 /* of the present variable, see standing_part_by_name */
    struct standing standing; /* where its time has gone; only if a variable needs it */
    int worker, pid;
};

/* Exactly one of the functions is set. A span is valid until the next call of any of them; its `at` is NULL if there is
 * no such thing. */
struct variable {
    const char *name;
    struct span (*string)(const struct record *record);
    int64_t (*number)(const struct record *record);
    bool seconds; /* the number is microseconds, to be written as seconds */
};

/* All that have a name; the last row has none. */
extern const struct variable variables[];

/* %{Field}i, %{Field}o */
extern const struct variable variable_request_field, variable_response_field;

/* %{part}T: microseconds. */
extern const struct variable variable_part;

/* Fill in what is known of a request that has just ended. */
void record_init(struct record *record, const struct request *req);

/* From now on local times are in the zone of this process, also where an application changes its own. Once. */
void record_keep_zone(void);

#endif
