/* resident.h: the memory that this process uses. */
#ifndef METRICS_RESIDENT_H
#define METRICS_RESIDENT_H

#include <stdint.h>

/* Returns its resident bytes; 0: they are not known. */
int64_t resident_bytes(void);

#endif
