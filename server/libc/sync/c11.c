/*
 * c11.c: mutexes, conditions and threads by the names of C11.
 *
 * libc's are its pthread functions with other results, which it calls inside itself, past ours.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <threads.h>

static int c11_result(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

/* ---- mutexes ---- */

int mtx_lock(mtx_t *mutex)
{
    return c11_result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return c11_result(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_timedlock(mtx_t *restrict mutex, const struct timespec *restrict until)
{
    return c11_result(pthread_mutex_timedlock((pthread_mutex_t *)mutex, until));
}

int mtx_unlock(mtx_t *mutex)
{
    return c11_result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

/* ---- conditions ---- */

int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    return c11_result(pthread_cond_wait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    return c11_result(pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until));
}

int cnd_signal(cnd_t *cond)
{
    return c11_result(pthread_cond_signal((pthread_cond_t *)cond));
}

int cnd_broadcast(cnd_t *cond)
{
    return c11_result(pthread_cond_broadcast((pthread_cond_t *)cond));
}

/* ---- threads ---- */

int thrd_join(thrd_t thread, int *result)
{
    void *value;
    int error = pthread_join(thread, &value);

    if (error == 0 && result)
        *result = (int)(intptr_t)value;
    return c11_result(error);
}

int thrd_detach(thrd_t thread)
{
    return c11_result(pthread_detach(thread));
}

void thrd_exit(int result)
{
    pthread_exit((void *)(intptr_t)result);
}
