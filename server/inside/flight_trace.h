/* flight_trace.h: the events of the flight recorder as a trace, for Perfetto (ui.perfetto.dev) or chrome://tracing. */
#ifndef INSIDE_FLIGHT_TRACE_H
#define INSIDE_FLIGHT_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "coro/recorder.h"

/* Events at one moment. */
struct flight {
    const struct record_event *events; /* borrowed */
    size_t mask, next;                 /* see struct recorder */
    uint64_t ticks;                    /* of the moment; so is the next */
    int64_t now;                       /* CLOCK_MONOTONIC ns */
    double tick;                       /* ns */
    uint64_t requests;                 /* the number of the last request */
    pid_t pid;
    int worker;
};

/* What begins a trace, and what ends it; between them are events, and commas between those of several processes. */
#define FLIGHT_HEAD "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
#define FLIGHT_TAIL "\n]}\n"

/* Take the moment of this call; the events stay in the ring. Any thread, and in signal handlers; so is the next. */
void flight_take(struct flight *flight, int worker);

/* Write its events to fd: between head and tail, if these are not "". Returns 0 or -errno. */
int flight_write(const struct flight *flight, int fd, const char *head, const char *tail);

#endif
