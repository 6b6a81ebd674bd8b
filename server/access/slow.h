/* slow.h: the slow log: requests that take long, where they are, and where their time has gone. */
#ifndef ACCESS_SLOW_H
#define ACCESS_SLOW_H

#include <stdint.h>

struct access_rule;
struct request;

/* In a worker: write to the log of this rule, of which only the target counts, about requests that take longer than so
 * many milliseconds. Once. */
void slow_init(const struct access_rule *rule, int64_t milliseconds);

/* Whether slow_init was called. */
bool slow_is_on(void);

/* A request begins and ends; on its coroutine. */
void slow_begin(struct request *req);
void slow_end(const struct request *req);

#endif
