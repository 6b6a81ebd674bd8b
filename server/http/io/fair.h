/* fair.h: yield now and then where a client sends or takes bytes as fast as we do, so that the coroutine never parks.
 */
#ifndef HTTP_FAIR_H
#define HTTP_FAIR_H

#include "coro/coro.h"

#define FAIR_BYTES (512 * 1024) /* moved by one coroutine before others run */

/* Count n more bytes that were moved. */
static inline void fair_count(size_t *in_a_row, size_t n)
{
    *in_a_row += n;
    if (*in_a_row < FAIR_BYTES)
        return;
    *in_a_row = 0;
    coro_yield();
}

#endif
