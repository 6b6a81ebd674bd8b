/* asked.h: what workers ask the master, for requests to [status]. */
#ifndef MASTER_ASKED_H
#define MASTER_ASKED_H

#include "master/overview.h"
#include "process/channel.h"

/* master tells what the master says of itself. */
void asked_init(struct overview_master (*master)(void));

/* A CHANNEL_ASK has come from a worker: it gets a CHANNEL_ANSWER, unless it has asked for too much. */
void asked_by_worker(const struct worker *w, int32_t number, const char *line);

#endif
