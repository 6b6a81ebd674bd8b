/* search.h: the search for a name, below the domains of resolv.conf. */
#ifndef LIBC_SEARCH_H
#define LIBC_SEARCH_H

#include <resolv.h>
#include <stdbool.h>

/* The outcome of asking for one name. */
enum outcome {
    OUTCOME_FOUND,
    OUTCOME_ALIASES,    /* it is an alias of a name that has no such record */
    OUTCOME_NO_ADDRESS, /* it exists, but has no such record */
    OUTCOME_NO_NAME,
    OUTCOME_FAILED,    /* a server reports a failure, or refuses to answer */
    OUTCOME_SILENT,    /* no server answers */
    OUTCOME_MALFORMED, /* the name or the reply is malformed */
    OUTCOME_BROKEN,    /* errno says why */
};

struct search {
    enum outcome (*ask)(void *arg, const char *name); /* asks for one name */
    void *arg;
    enum outcome last; /* of the last name */
};

/* Ask for names until one is found. conf: resolv.conf. */
enum outcome search_run(struct search *s, const struct __res_state *conf, const char *name);

static inline bool outcome_ends_search(enum outcome outcome)
{
    return outcome == OUTCOME_FOUND || outcome == OUTCOME_ALIASES || outcome == OUTCOME_BROKEN;
}

#endif
