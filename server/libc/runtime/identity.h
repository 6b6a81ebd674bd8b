/* identity.h: the loop's OS thread, and coroutines as threads of their own. */
#ifndef LIBC_IDENTITY_H
#define LIBC_IDENTITY_H

#include <sys/types.h>

/* The calling OS thread is the one that runs coroutines. */
void identity_init(void);

/* Its thread id, as libc's mutexes know it. */
pid_t identity_tid(void);

/* In a forked child, before coro_forget: its one thread keeps the identity it had, as after any fork. */
void identity_inherit(void);

#endif
