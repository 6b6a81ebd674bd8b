/*
 * libc.h: the interposed libc calls, as the rest of the server sees them.
 *
 * The calls themselves need no header of ours: they are read(), poll(), sem_wait() and the like, defined by this folder
 * and exported by the executable, so that every library finds them before libc's. On a coroutine they park it instead
 * of blocking; anywhere else they are libc's. docs/blocking.md lists them.
 */
#ifndef LIBC_H
#define LIBC_H

enum libc_resolver {
    LIBC_RESOLVER_CARES,  /* /etc/hosts and DNS, asked for by the coroutine itself */
    LIBC_RESOLVER_SYSTEM, /* glibc with all of nsswitch.conf, on a thread of the pool */
};

/* From now on calls park in this process: once in every process that runs coroutines, after its fork and wait_init, on
 * the loop's OS thread. Before that, and in children forked later, they block as ever. */
void libc_init(enum libc_resolver resolver);

/* Calls made by the shared object that holds this address are those of a runtime whose threads are coroutines, see
 * sl_runtime in syncless.h. 0; -EINVAL if no object holds the address; -ENOSPC if there are too many. */
int libc_runtime(const void *address);

#endif
