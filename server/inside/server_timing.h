/* server_timing.h: tell clients where the time of their requests went. */
#ifndef INSIDE_SERVER_TIMING_H
#define INSIDE_SERVER_TIMING_H

/* In a worker: every response has the field Server-Timing from now on (www.w3.org/TR/server-timing). */
void server_timing_init(void);

#endif
