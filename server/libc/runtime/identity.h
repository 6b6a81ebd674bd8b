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

/* The same, of the one on which this code runs: the loop's on coroutines, unless they are away. */
pid_t identity_tid_here(void);

/* Returns the OS thread behind an identity: for that of a coroutine the loop's. */
pthread_t identity_os_thread(pthread_t thread);

/* Whether a pthread_t is the identity of a coroutine, of any that ever was. */
bool identity_is_coroutine(pthread_t thread);

/* Whether it is that of the running coroutine. */
bool identity_is_own(pthread_t thread);

struct coro;

/* Returns the identity of a coroutine. */
pthread_t identity_of(const struct coro *co);

/* Give a coroutine that has not begun a new identity, since another one may still be known by the old, and return it.
 * After 65,536 such lives of a coroutine the first one comes again. */
pthread_t identity_renew(struct coro *co);

/* In a forked child, before coro_forget: its only thread keeps the identity of the one that has forked. */
void identity_inherit(void);

#endif
