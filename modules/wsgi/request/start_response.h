/*
 * start_response.h: the callable given to an application, and the write() that it returns.
 */
#ifndef START_RESPONSE_H
#define START_RESPONSE_H

struct exchange;

int start_response_init_types(void);

/* Makes x->start_response and x->write. */
int start_response_new(struct exchange *x);

/* The request is over: both forget x and are dropped. */
void start_response_end(struct exchange *x);

/* Frees what is kept for the next request. */
void start_response_clear(void);

#endif
