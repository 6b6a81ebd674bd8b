/* running.h: the requests that run in this process, written down. */
#ifndef INSIDE_RUNNING_H
#define INSIDE_RUNNING_H

#include "base/text.h"
#include "inside/question.h"

#define INSIDE_VERSION 1 /* of the JSON; it grows when a field changes its meaning or goes */

/* In a worker: what is written goes by this number of the worker. */
void running_init(int worker);

/* Write the requests that the question is about, the oldest first: as elements of a JSON array, or as text. On the
 * loop's thread. */
void running_write(const struct question *q, struct text *out);

/* Write the counters of this worker: as members of a JSON object, or as text. */
void running_write_counts(const struct question *q, struct text *out);

/* Returns how many requests have begun to run, of which those that wait for their turn are none. */
size_t running_count(void);

/* Have the runtime of a request begin a session about it, see coro_debug. */
bool running_debug(uint64_t number, int fd);

/* Cancel a request. Returns whether it runs here. */
bool running_cancel(uint64_t number);

#endif
