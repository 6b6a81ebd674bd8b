/* search.h: the search for a name, below the domains of resolv.conf. */
#ifndef LIBC_SEARCH_H
#define LIBC_SEARCH_H

#include <resolv.h>
#include <stdbool.h>

/* The outcome of asking for one name. After the first four nothing else is asked for. */
enum outcome {
    OUTCOME_FOUND,
    OUTCOME_ALIASES,    /* no record of the reply counts; often the name is an alias of one that has no address */
    OUTCOME_CUT,        /* the reply is malformed: it ends in the middle of a record, say */
    OUTCOME_BAD_NAME,   /* the address has a name that no host can have */
    OUTCOME_NO_ADDRESS, /* it exists, but has no such record */
    OUTCOME_NO_NAME,
    OUTCOME_FAILED,    /* a server reports a failure, or refuses to answer */
    OUTCOME_SILENT,    /* no server answers */
    OUTCOME_MALFORMED, /* the name is malformed, or no server understands the question */
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
    return outcome <= OUTCOME_BAD_NAME || outcome == OUTCOME_BROKEN;
}

#endif
