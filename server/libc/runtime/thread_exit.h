/* thread_exit.h: pthread_exit on a coroutine. */
#ifndef LIBC_THREAD_EXIT_H
#define LIBC_THREAD_EXIT_H

/* Have fn be called on each coroutine that ends so, with the value of pthread_exit. */
void thread_exit_tell(void (*fn)(void *value));

#endif
