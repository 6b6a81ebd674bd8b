/* range.h: the Range field, RFC 9110 section 14. */
#ifndef RANGE_H
#define RANGE_H

#include <sys/types.h>

#define RANGE_MAX 64 /* more in one request are ignored */

struct range {
    off_t first, last; /* both included */
};

/* The parts of a file of that size which a Range field asks for, in its order, overlaps merged. Returns their number; 0
 * if the field is to be ignored: it is malformed, of another unit, or asks for too many; -ERANGE if it asks for nothing
 * that exists (status 416). */
int range_parse(const char *value, off_t size, struct range ranges[RANGE_MAX]);

#endif
