/* threads.h: threads of a language runtime that are coroutines. */
#ifndef LIBC_THREADS_H
#define LIBC_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* From now on, or no longer, a pthread_create of the runtime makes a coroutine where one can be made. */
void threads_by_coroutines(bool on);

/* Returns how many such coroutines have not ended. */
size_t threads_count(void);

/* Returns the number by which the runtime knows the running coroutine as a thread of the system, if it is such a
 * thread; else 0. No thread of the system ever has that number. */
int threads_native_id(void);

/* pthread_join and its kin for such an identity: 0 or an error number. clock and until as for pthread_clockjoin_np;
 * until NULL: no limit. */
int threads_join(pthread_t id, void **value, clockid_t clock, const struct timespec *until);
int threads_try_join(pthread_t id, void **value);
int threads_detach(pthread_t id);

#endif
