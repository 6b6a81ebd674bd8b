/* coding.h: content codings of precompressed files, and which of them a client takes. */
#ifndef CODING_H
#define CODING_H

struct coding {
    const char *name;   /* in Content-Encoding */
    const char *suffix; /* of the file beside the original */
};

#define CODING_COUNT 3

/* The codings an Accept-Encoding field allows, the client's favourite first; the smallest file first among equals.
 * Those it likes less than the file as it is are left out. Returns their number. */
int coding_choose(const char *accept, const struct coding *chosen[CODING_COUNT]);

#endif
