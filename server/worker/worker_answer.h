/* worker_answer.h: answer what the master asks of this worker. */
#ifndef WORKER_WORKER_ANSWER_H
#define WORKER_WORKER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

struct channel_message;

/* A CHANNEL_ASK has come: write the answer into its file, which is closed, and send a CHANNEL_ANSWER to the channel. */
void answer_master(int channel, const struct channel_message *question, const char *line);

/* From now on, SIGRTMIN+1 by anybody but the master has all running requests written to the log. */
void answer_signals(void);

/* In the handler of that signal: have it done. Returns whether it will be. Async-signal-safe. */
bool answer_signal_has_come(void);

#endif
