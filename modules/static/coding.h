/* coding.h: content codings of precompressed files, and which of them a client accepts. */
#ifndef CODING_H
#define CODING_H

struct coding {
    const char *name;   /* in Content-Encoding */
    const char *suffix; /* of the file beside the original */
};

#define CODING_COUNT 3

/* Store the codings that an Accept-Encoding field allows, the client's favourite first; those with equal weights in the
 * order of the table. Codings with a lower weight than the original file are left out. Returns their number. */
int coding_choose(const char *accept, const struct coding *chosen[CODING_COUNT]);

#endif
