/* stuck_requests.h: the requests of a worker that is stuck, as its signal handler has listed them. */
#ifndef MASTER_STUCK_REQUESTS_H
#define MASTER_STUCK_REQUESTS_H

#include <stdbool.h>

#include "base/text.h"
#include "inside/question.h"
#include "master/gather.h"

/* Write those that the question is about, as elements of a JSON array, or as lines. Returns whether there are any. */
bool stuck_requests_write(const struct question *q, const struct gathered *w, struct text *out);

#endif
