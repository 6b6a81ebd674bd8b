/* worker_log.h: when a worker writes its logs. */
#ifndef WORKER_WORKER_LOG_H
#define WORKER_WORKER_LOG_H

struct channel_message;

/* In the worker of that number, after the event loop was made. */
void worker_log_start(int number);

/* If the message carries a reopened log file, write there from now on; the descriptor is consumed. Other messages are
 * ignored. */
void worker_log_reopen(const struct channel_message *message);

/* Write what is pending, as far as that is possible without waiting. */
void worker_log_flush(void);

/* The same at the end of the process, waiting a moment for slow readers. */
void worker_log_drain(void);

#endif
