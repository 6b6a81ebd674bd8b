/* fair.h: a client that takes, or sends, as fast as we can would never make its coroutine park. */
#ifndef HTTP_FAIR_H
#define HTTP_FAIR_H

#include "coro/coro.h"

#define FAIR_BYTES (512 * 1024)

/* Another n bytes have been moved: let the other coroutines have their turn when it is FAIR_BYTES since the last. */
static inline void fair_count(size_t *in_a_row, size_t n)
{
    *in_a_row += n;
    if (*in_a_row < FAIR_BYTES)
        return;
    *in_a_row = 0;
    coro_yield();
}

#endif
