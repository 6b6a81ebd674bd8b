/* recycle.h: ask for a replacement of this worker once it has reached one of its limits. */
#ifndef WORKER_RECYCLE_H
#define WORKER_RECYCLE_H

#include "settings/process.h"

/* Call on_limit() once, on the event loop's stack, after this worker has reached max-requests, max-lifetime or max-rss.
 */
void recycle_start(const struct process_settings *settings, void (*on_limit)(void));

#endif
