/* mutex.h: locking and unlocking a mutex on a coroutine, for conditions. */
#ifndef LIBC_MUTEX_H
#define LIBC_MUTEX_H

#include <pthread.h>
#include <time.h>

/* As pthread_mutex_clocklock (until may be NULL) and pthread_mutex_unlock. They return 0 or an error number. */
int mutex_lock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until);
int mutex_unlock(pthread_mutex_t *mutex);

#endif
