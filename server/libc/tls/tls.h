/*
 * tls.h: thread-local storage of coroutines, whose record is coro.tls.
 *
 * There are three kinds: the thread-locals of C and C++ in shared objects (blocks.c), the destructors of those of C++
 * (destructors.c), and pthread keys (values.c). All of them belong to coro_thread(), so a signal handler and a forked
 * child see those of the coroutine that they are. The main coroutine has those of its OS thread (coro_share_tls).
 *
 * What was there before main stays the OS thread's: libc, the allocator, a sanitizer, the interpreter, and the keys
 * that these have made by then.
 */
#ifndef LIBC_TLS_H
#define LIBC_TLS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "coro/coro.h"

struct tls_object;

/* The objects and keys that there are now stay the OS thread's. Called once in a process, before its main function; if
 * not, libc_init does. */
void tls_start(void);

/* From now on the threads of coroutines end with tls_end. */
void tls_init(void);

/* Call fn when the thread of a coroutine has ended otherwise, as the kernel does something then. One function. */
void tls_on_end(void (*fn)(struct coro_tls *tls));

/* ---- the lock ---- */

/* Held by those who change a record of another coroutine, or one where its own may be looked at by another thread. No
 * signal handler runs meanwhile, since it might need it too. Nothing may wait or call into libraries. */
struct tls_guard {
    sigset_t mask;
};
struct tls_guard tls_lock(void);
void tls_unlock(struct tls_guard guard);

/* ---- blocks.c ---- */

/* Free all copies of the thread-locals of one coroutine. On that coroutine. */
void blocks_free(struct coro_tls *tls);

/* An object is gone: free the copies of its thread-locals. Any thread. */
void blocks_drop(size_t module, const struct tls_object *object);

/* ---- destructors.c ---- */

/* Call the destructors of C++ thread-locals, the last one first, until there are none. On the coroutine. Returns
 * whether there were any. */
bool destructors_run(struct coro_tls *tls);

/* Let go of the objects that were kept for destructors which have run, so that they can be unloaded. Any thread. */
void destructors_let_go(void);

/* ---- values.c ---- */

/* Keys that there are now are the OS thread's. */
void values_start(void);

/* Call the destructors of values, as often as POSIX says, and free them all. On the coroutine. */
void values_end(struct coro_tls *tls);

#endif
