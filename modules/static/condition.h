/* condition.h: the request fields a file's answer depends on, and conditional requests (RFC 9110 section 13). */
#ifndef CONDITION_H
#define CONDITION_H

#include <stdbool.h>
#include <sys/stat.h>

#include "syncless.h"

/* Values of the fields, NULL where the client sent none. */
struct conditions {
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

/* Find them in the fields of a request. The values lie in its memory. */
void conditions_read(struct conditions *conditions, struct sl_request *req);

/* Make the validators of a file. suffix is the coding's, "" for the original, so that each coding has its own tag. */
void validators_init(struct validators *v, const struct stat *st, const char *suffix);

/* Evaluate the conditions of a GET or HEAD as RFC 9110 section 13.2.2 says. Returns 0 to go on, 304 or 412. */
int condition_check(const struct conditions *conditions, const struct validators *v);

/* Whether the Range field counts: there is no If-Range, or it holds. */
bool condition_range(const struct conditions *conditions, const struct validators *v);

#endif
