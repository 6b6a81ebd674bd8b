/* metrics_count.h: a worker counts its requests, and tells how it stands. */
#ifndef METRICS_METRICS_COUNT_H
#define METRICS_METRICS_COUNT_H

#include "http/request/request.h"

/* In a worker, with its event loop, before the first request: take a slot, and keep it up to date. From now on
 * metrics_count_request is to be called for each request that is over. */
void metrics_count_start(void);

/* Count a request that has just ended; see http_hooks.ended. */
void metrics_count_request(const struct request *req);

/* Write how this worker stands now. Is done every second too. */
void metrics_publish(void);

/* Returns the slot of this worker; NULL: it counts nothing. */
const struct metrics_slot *metrics_own_slot(void);

#endif
