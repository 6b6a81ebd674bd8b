/* recycle.h: when a worker has served enough. */
#ifndef RECYCLE_H
#define RECYCLE_H

#include "settings/process.h"

/* Call enough() once, on the loop's stack, when this worker is past max-requests, max-lifetime or max-rss. */
void recycle_start(const struct process_settings *settings, void (*enough)(void));

#endif
