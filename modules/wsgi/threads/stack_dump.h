/*
 * stack_dump.h: writes the Python stack of the running code, from a signal handler.
 */
#ifndef STACK_DUMP_H
#define STACK_DUMP_H

#include "interp/cpython.h"

/* Call it once, with the GIL held. */
int stack_dump_init(void);

/* Writes the Python stack of the running thread, of which state is the thread state, to fd. For signal handlers. May
 * fault. */
void stack_dump_write(PyThreadState *state, int fd);

#endif
