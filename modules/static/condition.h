/* condition.h: the request fields a file's answer depends on, and conditional requests (RFC 9110 section 13). */
#ifndef CONDITION_H
#define CONDITION_H

#include <stdbool.h>
#include <sys/stat.h>

#include "httpdate.h"
#include "syncless.h"

/* Values of the fields, NULL where the client sent none. */
struct asked {
    const char *range;
    const char *if_range;
    const char *if_match;
    const char *if_none_match;
    const char *if_modified_since;
    const char *if_unmodified_since;
    const char *accept_encoding;
};

#define ETAG_SIZE 64

struct validators {
    char etag[ETAG_SIZE]; /* strong, with its quotes */
    time_t modified;
};

/* One pass over the request's fields. */
void asked_read(struct sl_request *req, struct asked *asked);

/* Validators of a file; suffix sets apart its codings, "" for the file as it is. */
void validators_init(struct validators *v, const struct stat *st, const char *suffix);

/* What RFC 9110 section 13.2.2 makes of a GET or HEAD: 0 to go on, 304 or 412. */
int condition_check(const struct asked *asked, const struct validators *v);

/* Whether If-Range, if there is one, lets the Range field be heeded. */
bool condition_range(const struct asked *asked, const struct validators *v);

#endif
