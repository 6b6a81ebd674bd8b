/* events.h: what seldom happens in this process, counted wherever it does, for whoever wants to know. */
#ifndef BASE_EVENTS_H
#define BASE_EVENTS_H

#include <stdint.h>

enum event {
    EVENT_PREEMPTION,     /* a coroutine that has used up its slice let others run */
    EVENT_OFFLOADED,      /* a call was made by another thread */
    EVENT_DEPARTED,       /* a coroutine has gone to compute upon another thread */
    EVENT_HELD,           /* an iteration of the loop has taken longer than half a slice */
    EVENT_HELD_TIME,      /* nanoseconds of these */
    EVENT_LOCK_WAIT,      /* a coroutine has waited for the lock of a language runtime (the GIL) */
    EVENT_LOCK_WAIT_TIME, /* nanoseconds of these */
    EVENTS
};

extern uint64_t events[EVENTS];

/* Any thread. */
static inline void event_count(enum event event, uint64_t more)
{
    __atomic_fetch_add(&events[event], more, __ATOMIC_RELAXED);
}

#endif
