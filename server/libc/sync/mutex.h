/* mutex.h: locking and unlocking a mutex on a coroutine, for conditions. */
#ifndef LIBC_MUTEX_H
#define LIBC_MUTEX_H

#include <pthread.h>
#include <stdint.h>

/* As pthread_mutex_lock, with a deadline, and pthread_mutex_unlock. They return 0 or an error number. */
int mutex_lock(pthread_mutex_t *mutex, int64_t deadline);
int mutex_unlock(pthread_mutex_t *mutex);

#endif
