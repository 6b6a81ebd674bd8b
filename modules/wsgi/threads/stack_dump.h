/*
 * stack_dump.h: writes Python stacks, from a signal handler.
 */
#ifndef STACK_DUMP_H
#define STACK_DUMP_H

#include "interp/cpython.h"

/* Call it once, with the GIL held. */
int stack_dump_init(void);

/* Writes to fd the Python stacks of all threads that are no coroutines, if Python runs in this process. For signal
 * handlers. May fault. */
void stack_dump_threads(int fd);

/* Writes the Python stack of the running thread, of which state is the thread state, to fd. For signal handlers. May
 * fault. */
void stack_dump_write(PyThreadState *state, int fd);

/* Not in a signal handler, on the thread of the event loop: write the stack of a state that is not in use. */
void stack_dump_parked(PyThreadState *state, int fd);

#endif
