/* main_thread.h: modules start and stop on a coroutine that is the main thread of the process. */
#ifndef WORKER_MAIN_THREAD_H
#define WORKER_MAIN_THREAD_H

#include <stdbool.h>
#include <stddef.h>

#include "mount/mount.h"

/* mounts_start on such a coroutine, while the loop runs. Coroutines that are started from then on have stacks of
 * stack_size bytes. Returns 0 or -errno. */
int main_thread_start(struct mount *mounts, size_t stack_size);

/* mounts_stop likewise. No other coroutine may be running; those that it starts end with the process. */
void main_thread_stop(struct mount *mounts);

#endif
