/* client_wait.h: notices when a request waits for its client, and for how long: its time does not run meanwhile. */
#ifndef HTTP_CLIENT_WAIT_H
#define HTTP_CLIENT_WAIT_H

#include <stddef.h>

#include "wait/wait.h"

struct client_wait {
    unsigned count; /* coroutines that wait now */
    int64_t since;  /* ns, when the first of them began to; while count is not 0 */

    /* Called when the first begins to wait, with 0, and when the last one has ended, with the nanoseconds since. */
    void (*changed)(struct client_wait *wait, int64_t waited);
};

/* A wait begins, and ends; wait may be NULL. */
static inline void client_wait_begin(struct client_wait *wait)
{
    if (!wait || wait->count++ > 0)
        return;
    wait->since = wait_now();
    wait->changed(wait, 0);
}

static inline void client_wait_end(struct client_wait *wait)
{
    if (wait && --wait->count == 0)
        wait->changed(wait, wait_now() - wait->since + 1);
}

#endif
