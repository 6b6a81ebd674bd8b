/*
 * slice.h: time slices: who has run for a slice lets others run.
 *
 * To read a clock in each call would be a cost for code that waits often and never uses up a slice. So an OS thread
 * (wait/watcher.c) looks now and then whether the same coroutine still runs, and sets a flag here. Coroutines look at
 * the flag where they may let others run, and the loop where it may look for events.
 */
#ifndef SLICE_H
#define SLICE_H

#include <stdatomic.h>
#include <stdbool.h>

struct slice {
    atomic_bool over;     /* somebody has used up a slice: the loop looks for events; see expired for whom */
    atomic_uint run;      /* counts the times that a coroutine got or left the OS thread; only the loop's writes it */
    atomic_uint expired;  /* the run that has used up its slice */
    atomic_bool asked;    /* a runtime was asked to have its code give way, and nobody has done so yet */
    atomic_bool preempts; /* runtimes are asked to do so */
};
extern struct slice slice;

/* Whether somebody has used up a slice, perhaps another coroutine, or all together. */
static inline bool slice_is_over(void)
{
    return __builtin_expect(atomic_load_explicit(&slice.over, memory_order_relaxed), 0);
}

/* Whether the coroutine that runs now, or has run last, has used up its slice. */
static inline bool slice_is_mine(void)
{
    return slice_is_over() && atomic_load_explicit(&slice.expired, memory_order_relaxed) ==
                                  atomic_load_explicit(&slice.run, memory_order_relaxed);
}

/* A coroutine gets or leaves the OS thread. Only this thread writes, so a plain addition does. */
static inline void slice_begin(void)
{
    atomic_store_explicit(&slice.run, atomic_load_explicit(&slice.run, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* The loop looks for events. */
static inline void slice_clear(void)
{
    if (slice_is_over())
        atomic_store(&slice.over, false);
}

/* In a forked child, where nobody sets the flags. */
static inline void slice_forget(void)
{
    atomic_store(&slice.over, false);
    atomic_store(&slice.asked, false);
    atomic_store(&slice.preempts, false);
}

/* Whether a runtime was asked to give way since the last call. Any thread. */
static inline bool slice_take_asked(void)
{
    return atomic_load_explicit(&slice.asked, memory_order_relaxed) && atomic_exchange(&slice.asked, false);
}

#endif
