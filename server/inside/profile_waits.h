/* profile_waits.h: samples of the coroutines that do not run, for a profile. */
#ifndef INSIDE_PROFILE_WAITS_H
#define INSIDE_PROFILE_WAITS_H

#include <stdbool.h>
#include <stdint.h>

#include "coro/coro.h"

/* Add so many nanoseconds to the stack of each coroutine that waits, is ready, or computes upon another thread, of
 * those that wanted says are. On the loop's thread, outside of coroutines. */
void profile_waits_sample(int64_t nanoseconds, bool (*wanted)(const struct coro *co));

/* Count the time of waits that were not read yet as such. */
void profile_waits_settle(void);

/* The stacks that are known are gone. */
void profile_waits_clear(void);

#endif
