/*
 * without_gil.h: C code that computes without the GIL does so upon another thread.
 */
#ifndef WITHOUT_GIL_H
#define WITHOUT_GIL_H

#include <stdbool.h>
#include <stdint.h>

struct site;

/* The section that a coroutine is in; all zero at first. */
struct section {
    struct site *site; /* NULL: none */
    int64_t begun;     /* when it last went on: CLOCK_MONOTONIC nanoseconds, or of the thread's CPU time */
    int64_t spent;     /* nanoseconds before that */
    bool away;         /* it has begun upon another thread */
    bool waited;
};

/* The coroutine is in a section, gives up the OS thread, and goes on. */
void section_leave(struct section *s);
void section_go_on(struct section *s);

/* Has the functions by which extension modules let go of the GIL call ours. Once is enough. */
void section_init(void);

#endif
