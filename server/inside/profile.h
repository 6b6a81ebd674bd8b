/* profile.h: where the time of this process goes, by samples: on the CPU, and in the waits of all coroutines. */
#ifndef INSIDE_PROFILE_H
#define INSIDE_PROFILE_H

#include "base/text.h"
#include "coro/coro.h"
#include "inside/question.h"

#define PROFILE_BUSY "busy\n" /* the answer if somebody else makes a profile */

/* ask: have profile_on_signal be called in a signal handler on the loop's thread. Any thread. */
void profile_init(void (*ask)(void));

/* Answer ASK_PROFILE: begin a profile, or go on with it and write what is new, as profile_stacks_write does. On the
 * loop's thread. */
void profile_answer(const struct question *q, struct text *out);

/* In the signal handler: take a sample of what runs: that coroutine; NULL: the loop. */
void profile_on_signal(const struct coro *co);

#endif
