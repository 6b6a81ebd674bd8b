/* worker_question.h: ask the master about the whole server. */
#ifndef WORKER_WORKER_QUESTION_H
#define WORKER_WORKER_QUESTION_H

#include "base/text.h"
#include "process/channel.h"

/* From now on worker_question may be called. channel: to the master, borrowed. */
void worker_question_init(int channel);

/* Ask a line of inside/question.h, on a coroutine. Returns 0 with the answer in out, -ETIMEDOUT, or the code of
 * wait_cancel. */
int worker_question(const char *line, struct text *out);

/* A CHANNEL_ANSWER has come; its descriptor is consumed. */
void worker_question_answered(const struct channel_message *message);

#endif
