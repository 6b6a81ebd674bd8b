/* mutex.h: locking and unlocking a mutex on a coroutine, for conditions. */
#ifndef LIBC_MUTEX_H
#define LIBC_MUTEX_H

#include <pthread.h>
#include <time.h>

/* Bits of __kind. */
enum mutex_kind {
    MUTEX_TYPE = 3, /* normal, recursive, ... */
    MUTEX_ROBUST = 16,
    MUTEX_INHERITS = 32,
    MUTEX_PROTECTS = 64,
    MUTEX_SHARED = 128,
};

/* As pthread_mutex_clocklock (until may be NULL) and pthread_mutex_unlock. They return 0 or an error number. */
int mutex_lock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until);
int mutex_unlock(pthread_mutex_t *mutex);

#endif
