/*
 * flight_trace.c: the events of the flight recorder as a trace, which Perfetto shows.
 *
 * The trace is JSON in Chrome's format. Each coroutine is a thread of it, which has slices: a request, and within it
 * what the coroutine waits for, or that it is ready. A slice that began before the first event is left out, and one
 * that has not ended ends with the last event, so that all are in pairs. Which slices are open is noted in a table of
 * all coroutines, by which they get small numbers too.
 *
 * All this may be done after a crash, in the signal handler: it makes system calls, and uses nothing of libc that could
 * have a lock.
 */
#include "inside/flight_trace.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/digits.h"
#include "base/real.h"
#include "http/session.h"
#include "wait/reason.h"

#define UNSAFE_EVENTS 16 /* the oldest ones, which may be overwritten while we read */

/* A coroutine. */
struct lane {
    uint32_t who;    /* 0: the place is free */
    uint32_t number; /* from 1 */
    bool in_request, in_phase;
};

struct trace {
    const struct flight *flight;
    int fd, err;
    size_t size; /* of what buf has */
    struct lane *lanes;
    size_t lane_mask;
    uint32_t lane_count;
    uint64_t time; /* ns of the present event */
    bool begun;
    char buf[8192];
};

/* ---- bytes ---- */

static void trace_flush(struct trace *t)
{
    size_t sent = 0;

    while (sent < t->size && !t->err) {
        ssize_t n = real()->write(t->fd, t->buf + sent, t->size - sent);

        if (n > 0)
            sent += (size_t)n;
        else if (n == 0 || errno != EINTR)
            t->err = n == 0 ? -EIO : -errno;
    }
    t->size = 0;
}

static void trace_add(struct trace *t, const char *s)
{
    for (; *s; s++) {
        if (t->size == sizeof(t->buf))
            trace_flush(t);
        t->buf[t->size++] = *s;
    }
}

static void trace_add_number(struct trace *t, uint64_t n)
{
    char digits[DIGITS_MAX + 1];

    digits[DIGITS_MAX] = '\0';
    trace_add(t, digits_decimal(digits + DIGITS_MAX, n));
}

/* Microseconds with three digits after the point. */
static void trace_add_time(struct trace *t, uint64_t nanoseconds)
{
    char fraction[] = ".000";
    uint64_t rest = nanoseconds % 1000;

    trace_add_number(t, nanoseconds / 1000);
    fraction[1] = (char)('0' + rest / 100);
    digits_two(fraction + 2, (int)(rest % 100));
    trace_add(t, fraction);
}

/* ---- events of the trace ---- */

/* All members but the name, which comes next. */
static void add_event(struct trace *t, const char *phase, uint32_t number, uint64_t time)
{
    trace_add(t, t->begun ? ",\n{\"ph\":\"" : "{\"ph\":\"");
    t->begun = true;
    trace_add(t, phase);
    trace_add(t, "\",\"pid\":");
    trace_add_number(t, (uint64_t)t->flight->pid);
    trace_add(t, ",\"tid\":");
    trace_add_number(t, number);
    trace_add(t, ",\"ts\":");
    trace_add_time(t, time);
}

static void add_event_name(struct trace *t, const char *kind, const char *name)
{
    trace_add(t, ",\"name\":\"");
    trace_add(t, kind);
    trace_add(t, name);
    trace_add(t, "\"");
}

/* Name a process, or a thread of the trace. */
static void add_title(struct trace *t, const char *what, uint32_t thread, const char *title, uint64_t number)
{
    add_event(t, "M", thread, 0);
    add_event_name(t, what, "_name");
    trace_add(t, ",\"args\":{\"name\":\"");
    trace_add(t, title);
    if (number)
        trace_add_number(t, number);
    trace_add(t, "\"}}");
}

static void add_end(struct trace *t, const struct lane *lane)
{
    add_event(t, "E", lane->number, t->time);
    trace_add(t, "}");
}

static void end_phase(struct trace *t, struct lane *lane)
{
    if (lane->in_phase)
        add_end(t, lane);
    lane->in_phase = false;
}

static void begin_phase(struct trace *t, struct lane *lane, const char *kind, const char *name)
{
    end_phase(t, lane);
    add_event(t, "B", lane->number, t->time);
    add_event_name(t, kind, name);
    trace_add(t, "}");
    lane->in_phase = true;
}

static void end_request(struct trace *t, struct lane *lane)
{
    end_phase(t, lane);
    if (lane->in_request)
        add_end(t, lane);
    lane->in_request = false;
}

/* Only the low bits of the number were kept, and none of a later request. */
static void begin_request(struct trace *t, struct lane *lane, uint32_t low)
{
    uint64_t last = t->flight->requests;

    end_request(t, lane);
    add_event(t, "B", lane->number, t->time);
    trace_add(t, ",\"name\":\"request ");
    trace_add_number(t, (uint64_t)t->flight->pid);
    trace_add(t, ".");
    trace_add_number(t, last - ((last - low) & RECORD_MAX_VALUE));
    trace_add(t, "\"}");
    lane->in_request = true;
}

/* A slice that ends now. */
static void add_past(struct trace *t, uint32_t number, const char *name, uint32_t microseconds)
{
    uint64_t taken = UINT64_C(1000) * microseconds;

    add_event(t, "X", number, t->time > taken ? t->time - taken : 0);
    trace_add(t, ",\"dur\":");
    trace_add_number(t, microseconds);
    add_event_name(t, name, "");
    trace_add(t, "}");
}

static void add_accept(struct trace *t, uint32_t fd)
{
    add_event(t, "i", 0, t->time);
    trace_add(t, ",\"s\":\"t\",\"name\":\"accept\",\"args\":{\"descriptor\":");
    trace_add_number(t, fd);
    trace_add(t, "}}");
}

/* ---- coroutines ---- */

/* Returns the coroutine, which gets a number if it is new; or NULL if there are too many. */
static struct lane *trace_lane(struct trace *t, uint32_t who)
{
    size_t at = who * UINT32_C(2654435761) & t->lane_mask;

    while (t->lanes[at].who && t->lanes[at].who != who)
        at = (at + 1) & t->lane_mask;
    if (t->lanes[at].who)
        return &t->lanes[at];
    if (t->lane_count > t->lane_mask / 2)
        return NULL;
    t->lanes[at] = (struct lane){.who = who, .number = ++t->lane_count};
    add_title(t, "thread", t->lane_count, "coroutine ", t->lane_count);
    return &t->lanes[at];
}

static void add_of_coroutine(struct trace *t, struct lane *lane, enum record_kind kind, uint32_t value)
{
    switch (kind) {
    case RECORD_BEGIN:
        begin_request(t, lane, value);
        break;
    case RECORD_END:
        end_request(t, lane);
        break;
    case RECORD_PARK:
        begin_phase(t, lane, "waits: ", value < WAIT_KINDS ? reason_kind_name((enum wait_kind)value) : "?");
        break;
    case RECORD_WAKE:
        begin_phase(t, lane, "ready", "");
        break;
    case RECORD_PREEMPTED:
        begin_phase(t, lane, "preempted", "");
        break;
    case RECORD_YIELD:
        begin_phase(t, lane, "lets others run", "");
        break;
    case RECORD_AWAY:
        begin_phase(t, lane, "away", "");
        break;
    case RECORD_GIL:
        add_past(t, lane->number, "waits for the GIL", value);
        break;
    default:
        end_phase(t, lane);
    }
}

/* Events that were noted at the same moment, or upon processors whose counters differ, stay in order. */
static uint64_t time_of(const struct trace *t, const struct record_event *event)
{
    const struct flight *f = t->flight;
    double before = f->ticks > event->ticks ? (double)(f->ticks - event->ticks) * f->tick : 0;
    uint64_t time = before < (double)f->now ? (uint64_t)f->now - (uint64_t)before : 0;

    return time > t->time ? time : t->time;
}

static void add_recorded(struct trace *t, const struct record_event *event)
{
    enum record_kind kind = event->what & 255;
    uint32_t value = event->what >> 8;
    struct lane *lane;

    t->time = time_of(t, event);
    if (kind == RECORD_ACCEPT)
        add_accept(t, value);
    else if (kind == RECORD_LOOP)
        add_past(t, 0, "long iteration", value);
    else if (event->who && (lane = trace_lane(t, event->who)))
        add_of_coroutine(t, lane, kind, value);
}

/* ---- the whole ---- */

static size_t flight_first(const struct flight *f)
{
    return f->next > f->mask ? f->next - f->mask - 1 + UNSAFE_EVENTS : 0;
}

static int trace_init(struct trace *t, const struct flight *flight, int fd)
{
    size_t capacity = 2 * (flight->mask + 1);
    void *lanes = mmap(NULL, capacity * sizeof(*t->lanes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (lanes == MAP_FAILED)
        return -errno;
    t->flight = flight;
    t->fd = fd;
    t->err = 0;
    t->size = 0;
    t->lanes = lanes;
    t->lane_mask = capacity - 1;
    t->lane_count = 0;
    t->time = 0;
    t->begun = false;
    return 0;
}

void flight_take(struct flight *flight, int worker)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    *flight = (struct flight){.events = recorder.ring,
                              .mask = recorder.mask,
                              .next = recorder.next,
                              .ticks = ticks_now(),
                              .now = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
                              .tick = record_tick_length(),
                              .requests = session_requests(),
                              .pid = recorder.pid,
                              .worker = worker};
}

int flight_write(const struct flight *flight, int fd, const char *head, const char *tail)
{
    struct trace t; /* its buffer is not cleared */
    int err = trace_init(&t, flight, fd);

    if (err)
        return err;
    trace_add(&t, head);
    add_title(&t, "process", 0, "worker ", (uint64_t)flight->worker);
    add_title(&t, "thread", 0, "event loop", 0);
    for (size_t i = flight_first(flight); i < flight->next; i++)
        add_recorded(&t, &flight->events[i & flight->mask]);
    t.time = time_of(&t, &(struct record_event){.ticks = flight->ticks});
    for (size_t i = 0; i <= t.lane_mask; i++)
        end_request(&t, &t.lanes[i]);
    trace_add(&t, tail);
    trace_flush(&t);
    munmap(t.lanes, (t.lane_mask + 1) * sizeof(*t.lanes));
    return t.err;
}
