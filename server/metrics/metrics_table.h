/* metrics_table.h: what the server counts, in memory that the master and all workers share. */
#ifndef METRICS_METRICS_TABLE_H
#define METRICS_METRICS_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/events.h"
#include "coro/account.h"

#define METRICS_MOUNTS  64  /* told apart; 0: requests that no mount has got, and those of further mounts */
#define METRICS_BUCKETS 25  /* of a histogram; the last has no bound */
#define METRICS_SERIES  512 /* combinations of mount, method and status that one slot tells apart */

/* One word, which its writer adds to without a lock. */
#define METRICS_COUNT uint64_t

/* What other parts of a worker count for themselves. */
enum metrics_sum { SUM_EVENTS = EVENTS, SUM_PROCESS_CPU = SUM_EVENTS, SUM_WAITS, METRICS_SUMS };

/* Times, by their length: bucket n has those up to metrics_bound(n) that bucket n - 1 has not. */
struct metrics_histogram {
    METRICS_COUNT counts[METRICS_BUCKETS];
    METRICS_COUNT sum; /* ns */
};

/* Requests with the same mount, class of method, and status. */
struct metrics_series {
    uint32_t key; /* metrics_key(); 0: a free place */
    METRICS_COUNT count;
};

/* Of the worker as it is, so they end with it. */
struct metrics_gauges {
    METRICS_COUNT in_flight, queued, connections, coroutines, stacks, resident; /* resident: bytes */
};

/* A place that one worker after another has: each goes on counting where the last one has stopped, so the sum over all
 * slots never goes back. Only the worker writes. */
struct metrics_slot {
    _Atomic pid_t pid; /* 0: the slot is free */
    struct metrics_gauges gauges;
    METRICS_COUNT bytes_in, bytes_out;
    METRICS_COUNT queued, ready, pool; /* ns of requests that are over; what is left of their durations is CPU time */
    METRICS_COUNT sums[METRICS_SUMS];  /* the events first; process_cpu in ns */
    METRICS_COUNT calls[WAIT_KINDS];   /* waits of requests that are over; how long, by request, is in waited */
    struct metrics_histogram waited[WAIT_KINDS];
    struct metrics_histogram durations[METRICS_MOUNTS];
    struct metrics_series series[METRICS_SERIES];
    METRICS_COUNT lost; /* requests for which series had no place */
} __attribute__((aligned(64)));

/* What the masters count. */
struct metrics_master {
    METRICS_COUNT restarts; /* workers that have died and were to be replaced */
    METRICS_COUNT reloads, failed_reloads;
};

/* ---- in the master ---- */

/* Before the first fork. fd: the table of the binary before, which is taken over if this binary understands it; -1:
 * there is none. Without this, or if it fails, which it logs, nothing is counted. */
void metrics_create(int fd);

#define METRICS_FILE "(metrics)" /* as what it is passed on, see inherit_take */

/* Returns the descriptor of the table, for a new binary; -1: there is none. */
int metrics_file(void);

/* In a forked child: close it. */
void metrics_close_file(void);

/* Give a mount of that name a number, for its workers to find. */
void metrics_add_mount(const char *name);

/* A process has ended: its slot is another's. */
void metrics_vacate(pid_t pid);

/* Returns the counters of the masters; NULL: nothing is counted. */
struct metrics_master *metrics_of_master(void);

/* Returns memory in the table for what was sent to statsd last, zero at first; NULL: there is none of that size. */
void *metrics_sent(size_t size);

/* ---- in a worker ---- */

/* Take a slot for this process; NULL: there is none. */
struct metrics_slot *metrics_slot_take(void);

/* Returns the number of a mount of that name, or 0. */
unsigned metrics_mount(const char *name);

/* ---- for both ---- */

/* Visit all slots that were ever taken; ends with NULL. at: begin with 0. */
struct metrics_slot *metrics_slot_next(unsigned *at);

/* Returns the name of the mount with that number; "": there is none. */
const char *metrics_mount_name(unsigned number);

/* Returns the CLOCK_BOOTTIME nanoseconds since when there is a table. */
int64_t metrics_since(void);

/* Returns the number of the bucket for a time. */
static inline unsigned metrics_bucket(int64_t nanoseconds)
{
    uint64_t units = nanoseconds > 0 ? (uint64_t)(nanoseconds - 1) / 10000 : 0;
    unsigned bits = units ? 64 - (unsigned)__builtin_clzll(units) : 0;

    return bits < METRICS_BUCKETS ? bits : METRICS_BUCKETS - 1;
}

/* Returns the bound of a bucket, in microseconds: 10 µs, 20 µs and so on to 84 s. Not of the last one. */
static inline int64_t metrics_bound(unsigned bucket)
{
    return INT64_C(10) << bucket;
}

/* Only one thread of one process writes, so this need not be atomic: on processors that we know a word is read and
 * written as a whole. */
static inline void metrics_add(METRICS_COUNT *count, uint64_t more)
{
    *count += more;
}

static inline void metrics_set(METRICS_COUNT *count, uint64_t value)
{
    __atomic_store_n(count, value, __ATOMIC_RELAXED);
}

static inline uint64_t metrics_get(const METRICS_COUNT *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

enum metrics_method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METRICS_METHODS
};

/* Never 0. */
static inline uint32_t metrics_key(unsigned mount, enum metrics_method method, int status)
{
    return 1U << 31 | mount << 16 | (uint32_t)method << 12 | ((uint32_t)status & 0xfff);
}

#endif
