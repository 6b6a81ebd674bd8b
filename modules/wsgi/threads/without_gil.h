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
    int64_t begun;     /* CLOCK_MONOTONIC nanoseconds, or of the thread's CPU time */
    unsigned iteration;
    bool away;
};

/* Has the functions by which extension modules let go of the GIL call ours. Once is enough. */
void section_init(void);

#endif
