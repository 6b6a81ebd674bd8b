/* top_figures.h: what two answers of the server make known together: rates, and the durations between them. */
#ifndef CTL_TOP_FIGURES_H
#define CTL_TOP_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/json.h"

#define TOP_KINDS   16  /* kinds of waits that are told apart */
#define TOP_NAME    16  /* bytes of the name of one */
#define TOP_WORKERS 128 /* whose times are added up */
#define TOP_BUCKETS 64  /* of the histogram of durations */

/* What the requests of a worker have spent their time on, by kind. */
struct top_worker {
    double pid;
    double times[TOP_KINDS]; /* s */
};

/* Sums since the start, as the server gives them. */
struct top_sums {
    double at; /* s since the master's start */
    double requests, cpu;
    size_t kinds, buckets, workers;
    char kind_names[TOP_KINDS][TOP_NAME];
    struct top_worker worker_list[TOP_WORKERS];
    double bounds[TOP_BUCKETS]; /* us; of all buckets but the last */
    double counts[TOP_BUCKETS];
};

/* What is shown of all workers. */
struct top_figures {
    bool has_rates;             /* there were two answers */
    double requests_per_s, cpu; /* cores */
    double p50, p95, p99;       /* s; negative: no request has ended */
    size_t kinds;
    char kind_names[TOP_KINDS][TOP_NAME];
    double spent[TOP_KINDS]; /* s per s: so many requests have done that, on average */
};

/* Read the sums of an answer. */
void top_sums_read(struct top_sums *sums, const struct json *status);

/* Fill in what has happened between two answers. */
void top_figures_fill(struct top_figures *f, const struct top_sums *before, const struct top_sums *now);

#endif
