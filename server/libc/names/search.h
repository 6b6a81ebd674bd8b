/* search.h: which names DNS is asked for, in the search for one. */
#ifndef LIBC_SEARCH_H
#define LIBC_SEARCH_H

#include <resolv.h>
#include <stdbool.h>

/* What came of asking for one name. */
enum outcome {
    OUTCOME_FOUND,
    OUTCOME_ALIASES,    /* it is an alias, and what it stands for has no such record */
    OUTCOME_NO_ADDRESS, /* it is there, but has no such record */
    OUTCOME_NO_NAME,
    OUTCOME_FAILED,    /* servers say that they cannot or will not answer */
    OUTCOME_SILENT,    /* no server answers */
    OUTCOME_MALFORMED, /* no name can look like that, or no answer like this one */
    OUTCOME_BROKEN,    /* errno says why */
};

struct search {
    enum outcome (*ask)(void *arg, const char *name); /* asks for one name */
    void *arg;
    enum outcome last; /* what the last name came to */
};

/* Ask for names until one is found. conf: of resolv.conf. */
enum outcome search(struct search *s, const struct __res_state *conf, const char *name);

static inline bool outcome_ends_search(enum outcome outcome)
{
    return outcome == OUTCOME_FOUND || outcome == OUTCOME_ALIASES || outcome == OUTCOME_BROKEN;
}

#endif
