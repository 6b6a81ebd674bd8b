/* identity.h: the thread that a coroutine is to a language runtime, and the loop's OS thread. */
#ifndef LIBC_IDENTITY_H
#define LIBC_IDENTITY_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/* The calling OS thread runs the coroutines from now on. */
void identity_init(void);

/* Returns its thread id, which libc writes into mutexes. */
pid_t identity_tid(void);

/* Whether a pthread_t is the identity of a coroutine, of any that ever was. */
bool identity_is_coroutine(pthread_t thread);

/* In a forked child, before coro_forget: its only thread keeps the identity of the one that has forked. */
void identity_inherit(void);

#endif
