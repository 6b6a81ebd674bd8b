/*
 * overdue.h: requests that compute past their request-timeout.
 */
#ifndef OVERDUE_H
#define OVERDUE_H

struct exchange;

/* Be ready for requests that compute past their deadline. */
void overdue_watch(void);

/* This request, of the Python thread of that identity, holds the loop. In a signal handler on its coroutine. */
void overdue_note(const struct exchange *x, unsigned long identity);

#endif
