/* robust.h: robust mutexes that coroutines hold. */
#ifndef LIBC_ROBUST_H
#define LIBC_ROBUST_H

#include <pthread.h>

/* The running coroutine has locked a robust mutex, and will unlock it. */
void robust_locked(pthread_mutex_t *mutex);

/* It is about to be unlocked for the last time; by whom does not matter. */
void robust_unlocked(const pthread_mutex_t *mutex);

#endif
