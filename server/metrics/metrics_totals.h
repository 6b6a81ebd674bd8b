/* metrics_totals.h: what all workers have counted, added up. In the master. */
#ifndef METRICS_METRICS_TOTALS_H
#define METRICS_METRICS_TOTALS_H

#include "base/text.h"
#include "metrics/metrics_table.h"

struct metrics_times {
    uint64_t counts[METRICS_BUCKETS];
    uint64_t count; /* all of them */
    uint64_t sum;   /* ns */
};

/* One combination of labels. */
struct metrics_row {
    unsigned mount;
    enum metrics_method method;
    int status;
    uint64_t count;
};

/* As struct metrics_slot, over all workers that there were. */
struct metrics_totals {
    int64_t taken; /* CLOCK_MONOTONIC ns; 0: not */
    uint64_t workers, in_flight, queued, connections, coroutines, stacks, resident;
    uint64_t requests, responses[6]; /* by the first digit of the status; 0: none of 1 to 5 */
    uint64_t bytes_in, bytes_out, queue_time, cpu, ready, pool, lost, sums[METRICS_SUMS];
    uint64_t calls[WAIT_KINDS];
    struct metrics_times waited[WAIT_KINDS], durations[METRICS_MOUNTS], duration; /* duration: of all mounts */
    uint64_t restarts, reloads, failed_reloads;
    struct metrics_row rows[METRICS_SERIES]; /* those with a mount, in no order */
    size_t row_count;
};

/* Add up. Slots of processes that are gone become free. */
void metrics_totals_take(struct metrics_totals *totals);

/* Write them as members of a JSON object. */
void metrics_totals_write(const struct metrics_totals *totals, struct text *out);

#endif
