/* record.h: what is known of a request that is over, and the variables that say it. */
#ifndef ACCESS_RECORD_H
#define ACCESS_RECORD_H

#include <stdint.h>

#include "http/request/request.h"

/* What several variables of a line need. */
struct record {
    const struct request *req;
    const char *argument; /* of the variable that is asked: a field name */
    int64_t total, busy;  /* nanoseconds from its head to its end, and those in which it held the loop's thread */
    int worker, pid;
};

/* Bytes that belong to somebody else and are valid until the next variable is asked. */
struct span {
    const char *at; /* NULL: there is no such thing */
    size_t size;
};

/* One of the two functions is set. */
struct variable {
    const char *name;
    struct span (*string)(const struct record *record);
    int64_t (*number)(const struct record *record);
    bool seconds; /* the number is microseconds, to be shown as seconds */
};

/* All that have a name; ended by a row without one. */
extern const struct variable variables[];

/* %{Field}i, %{Field}o */
extern const struct variable variable_request_field, variable_response_field;

/* Look at a request that is over just now. */
void record_init(struct record *record, const struct request *req);

#endif
