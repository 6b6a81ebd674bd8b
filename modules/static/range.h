/* range.h: the Range field, RFC 9110 section 14. */
#ifndef RANGE_H
#define RANGE_H

#include <sys/types.h>

#define MAX_RANGES 64 /* a field with more is ignored */

struct range {
    off_t first, last; /* both included */
};

/* Store the parts of a file of that size which a Range field asks for, in its order, neighbours merged. Returns their
 * number; 0 if the field is to be ignored: it is malformed, has another unit or too many ranges; -ERANGE if the file
 * has none of the bytes (status 416). */
int range_parse(const char *value, off_t size, struct range ranges[MAX_RANGES]);

#endif
