/*
 * recorder.h: the flight recorder: the last events of this process, in a ring of fixed size.
 *
 * It is always on, so an event must cost next to nothing: the processor's counter as time, and 16 bytes. Only the OS
 * thread of the loop notes events. inside/trace.c makes a trace of them, when somebody wants to know what happened.
 */
#ifndef CORO_RECORDER_H
#define CORO_RECORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ticks.h"

enum record_kind {
    RECORD_ACCEPT,    /* value: the descriptor of the connection */
    RECORD_BEGIN,     /* a request; value: the low bits of its number */
    RECORD_END,       /* the same */
    RECORD_PARK,      /* value: enum wait_kind */
    RECORD_WAKE,      /* it is ready */
    RECORD_RESUME,    /* it runs again */
    RECORD_PREEMPTED, /* it has used up its slice, and others run */
    RECORD_YIELD,     /* it lets others run */
    RECORD_AWAY,      /* it goes on upon a thread of the pool */
    RECORD_GIL,       /* it has waited for the lock of its runtime; value: microseconds */
    RECORD_LOOP,      /* an iteration of the loop has taken long; value: microseconds */
};

#define RECORD_MAX_VALUE 0xffffff
#define RECORD_LONG_LOOP INT64_C(10000000) /* nanoseconds of an iteration that are noted */

struct record_event {
    uint64_t ticks;
    uint32_t who;  /* see record_who; 0: the loop */
    uint32_t what; /* enum record_kind, and the value in the upper 24 bits */
};

struct recorder {
    struct record_event *events; /* NULL: nothing is noted */
    struct record_event *ring;   /* owned; the same, but it stays when nothing is noted any more; NULL: none */
    pid_t pid;                   /* of the process */
    size_t mask;                 /* their number, a power of two, less 1 */
    size_t next;                 /* how many have been noted */
    _Atomic int64_t late;        /* CLOCK_MONOTONIC ns when an iteration has begun that takes long; 0: none */
    uint64_t ticks;              /* at recorder_start; so is the next */
    int64_t began;               /* CLOCK_MONOTONIC ns */
};
extern struct recorder recorder;

/* Keep the last events, in so many bytes, which are rounded down to a power of two; 0: keep none. Returns 0 or -errno.
 * Once in a process. */
int recorder_start(size_t size);

/* From now on nothing is noted, in a forked child or after a crash. */
void record_forget(void);

/* Returns nanoseconds per tick. Async-signal-safe. */
double record_tick_length(void);

/* By what a coroutine is told from others: the page of its record, which no other one that lives has. */
static inline uint32_t record_who(const void *co)
{
    return (uint32_t)((uintptr_t)co >> 12);
}

/* On the loop's thread. co: NULL: the loop. */
static inline void record_note(enum record_kind kind, const void *co, uint32_t value)
{
    struct record_event *event;

    if (!recorder.events)
        return;
    event = &recorder.events[recorder.next++ & recorder.mask];
    event->ticks = ticks_now();
    event->who = record_who(co);
    event->what = kind | value << 8;
}

/* On another thread: the iteration of the loop that began at that time (CLOCK_MONOTONIC ns) takes long. */
static inline void record_late(int64_t began)
{
    atomic_store_explicit(&recorder.late, began, memory_order_relaxed);
}

/* An iteration is over. */
void record_late_iteration(void);
static inline void record_iteration(void)
{
    if (__builtin_expect(atomic_load_explicit(&recorder.late, memory_order_relaxed) != 0, 0))
        record_late_iteration();
}

#endif
