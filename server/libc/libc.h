/*
 * libc.h: the interposed libc calls, as the rest of the server sees them.
 *
 * The calls themselves need no header of ours: they are read(), poll(), sem_wait() and so on, defined in this folder
 * and exported by the executable, so that every library finds them before libc's. On a coroutine they park it instead
 * of blocking; anywhere else they are libc's. docs/blocking.md lists them.
 *
 * The rooms, each of which includes only those before it:
 *
 *     tls/      thread-locals
 *     runtime/  may this call park, who makes it, what a coroutine is to a runtime that knows threads only
 *     outbound/ limits for connections that an application opens
 *     sync/     locks: semaphores, mutexes, conditions, futexes and so on
 *     disk/     calls on files, which go to a pool of threads
 *     threads/  threads of a runtime that are coroutines; joining
 *     io/       calls on descriptors, and streams
 *     process/  children, signals, sleeping, System V IPC, syslog
 *     names/    host names: resolver, DNS; users and services
 *
 * Beside them is syscall.c, the function by which libraries make any system call.
 */
#ifndef LIBC_H
#define LIBC_H

#include "libc/names/resolver.h"

/* From now on the calls park in this process. Called once in every process that runs coroutines, after its fork and
 * wait_init, on the loop's OS thread. Before that, and in children forked later, the calls block as libc's do. */
void libc_init(enum resolver resolver);

/* Declare that the shared object that contains an address is a language runtime to which coroutines are threads, see
 * sl_runtime in syncless.h. Returns 0, -EINVAL if no object contains it, or -ENOSPC if there are too many. */
int libc_runtime(const void *address);

#endif
