/* worker_log.h: the logs of a worker: written as the loop turns. */
#ifndef WORKER_WORKER_LOG_H
#define WORKER_WORKER_LOG_H

struct channel_message;

/* In a worker of that number, after the loop was made. */
void worker_log_start(int number);

/* The master has sent a log file that it opened anew: write there. Other messages: nothing. */
void worker_log_take(const struct channel_message *message);

/* Write what is pending, as far as it goes without waiting. */
void worker_log_flush(void);

/* The same at the end of the process, giving a slow reader a moment. */
void worker_log_drain(void);

#endif
