/* worklog.h: the logs of a worker: written as the loop turns. */
#ifndef WORKLOG_H
#define WORKLOG_H

/* In a worker of that number, after the loop was made. */
void worklog_start(int number);

/* Write what is pending, as far as it goes without waiting. */
void worklog_flush(void);

/* The same at the end of the process, giving a slow reader a moment. */
void worklog_end(void);

#endif
