/* runtime.c: the language runtime of test_libc_identity.c, a shared object of its own, which asks who it is. */
#include <pthread.h>

/* The barrier keeps the compiler from jumping to pthread_self, which would then return to our caller. */
unsigned long runtime_self(void);
unsigned long runtime_self(void)
{
    pthread_t self = pthread_self();

    __asm__ volatile("" ::: "memory");
    return (unsigned long)self;
}

int runtime_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);
int runtime_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg)
{
    int error = pthread_create(id, attr, fn, arg);

    __asm__ volatile("" ::: "memory");
    return error;
}
