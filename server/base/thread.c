/* thread.c: OS threads of the server. */
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/real.h"

struct start {
    void *(*fn)(void *arg);
    void *arg;
};

static atomic_int count;
static atomic_int count_pid; /* the process that they run in: a forked child has none */

static void *thread_main(void *arg)
{
    struct start start = *(struct start *)arg;
    void *result;

    free(arg);
    result = start.fn(start.arg);
    atomic_fetch_sub(&count, 1);
    return result;
}

static int thread_create(pthread_attr_t *attributes, struct start *start)
{
    pthread_t thread;

    if (atomic_exchange(&count_pid, getpid()) != getpid())
        atomic_store(&count, 0);
    atomic_fetch_add(&count, 1);
    return real()->pthread_create(&thread, attributes, thread_main, start);
}

int thread_start(void *(*fn)(void *arg), void *arg, size_t stack)
{
    struct start *start = xcalloc(1, sizeof(*start));
    pthread_attr_t attributes;
    sigset_t all, before;
    int error;

    *start = (struct start){fn, arg};
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, stack);
    real()->pthread_sigmask(SIG_SETMASK, &all, &before);
    error = thread_create(&attributes, start);
    real()->pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error) {
        atomic_fetch_sub(&count, 1);
        free(start);
    }
    return -error;
}

int thread_count(void)
{
    return atomic_load(&count_pid) == getpid() ? atomic_load(&count) : 0;
}
