/* must.h: memory from malloc. Running out of it ends the process, as it does everywhere in the server. */
#ifndef MUST_H
#define MUST_H

#include <stdlib.h>

#include "syncless.h"

/* What malloc and its like returned, which is not NULL. */
static inline void *must(void *memory)
{
    if (!memory) {
        sl_log(NULL, SL_ERROR, "static: out of memory");
        abort();
    }
    return memory;
}

#endif
