/* thread.c: OS threads of the server. */
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>

#include "base/real.h"

int thread_start(void *(*fn)(void *arg), void *arg, size_t stack)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int error;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, stack);
    real()->pthread_sigmask(SIG_SETMASK, &all, &before);
    error = real()->pthread_create(&thread, &attributes, fn, arg);
    real()->pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -error;
}
