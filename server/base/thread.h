/* thread.h: OS threads of the server. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <stddef.h>

/* Start a detached OS thread that gets no signals: the application's handlers are for its own threads. stack is in
 * bytes. Returns 0 or a negative errno value. */
int thread_start(void *(*fn)(void *arg), void *arg, size_t stack);

/* Returns how many of them run in this process. */
int thread_count(void);

#endif
