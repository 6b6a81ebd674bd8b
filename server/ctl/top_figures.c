/*
 * top_figures.c: what two answers of the server make known together: rates, and the durations between them.
 *
 * The server gives sums since its start; what is shown is what they have grown by, over the time that the server itself
 * says has passed. A percentile is where the histogram of durations says, between the bounds of its bucket.
 */
#include "ctl/top_figures.h"

#include <stdio.h>
#include <string.h>

/* ---- sums ---- */

/* Returns the index of a kind, which becomes known; TOP_KINDS: there are too many. */
static size_t find_kind(struct top_sums *sums, const char *name)
{
    for (size_t i = 0; i < sums->kinds; i++)
        if (!strcmp(sums->kind_names[i], name))
            return i;
    if (sums->kinds == TOP_KINDS)
        return TOP_KINDS;
    snprintf(sums->kind_names[sums->kinds], TOP_NAME, "%s", name);
    return sums->kinds++;
}

/* The server always names the kinds in the same order, so an index is the same kind in two answers. */
static void read_times(struct top_sums *sums, struct top_worker *to, const struct json *time)
{
    for (const struct json *kind = time->first; kind; kind = kind->next) {
        size_t i = find_kind(sums, kind->name);

        if (i < TOP_KINDS)
            to->times[i] = kind->number / 1e6;
    }
}

static size_t read_bucket_list(double *list, const struct json *array)
{
    size_t count = 0;

    for (const struct json *item = array ? array->first : NULL; item && count < TOP_BUCKETS; item = item->next)
        list[count++] = item->number;
    return count;
}

static void read_workers(struct top_sums *sums, const struct json *workers)
{
    for (const struct json *w = workers ? workers->first : NULL; w; w = w->next) {
        const struct json *time = json_member(w, "time");

        sums->requests += json_number(w, "requests");
        if (time && time->kind == JSON_OBJECT && sums->workers < TOP_WORKERS) {
            sums->worker_list[sums->workers].pid = json_number(w, "pid");
            read_times(sums, &sums->worker_list[sums->workers++], time);
        }
    }
}

void top_sums_read(struct top_sums *sums, const struct json *status)
{
    const struct json *totals = json_member(status, "totals"), *duration = json_member(totals, "duration");

    *sums = (struct top_sums){.at = json_number(json_member(status, "master"), "uptime_us") / 1e6};
    read_workers(sums, json_member(status, "workers"));
    if (totals) /* it has those of workers that have ended too */
        sums->requests = json_number(totals, "requests");
    sums->cpu = json_number(totals, "process_cpu_us") / 1e6;
    read_bucket_list(sums->bounds, json_member(duration, "bounds_us"));
    sums->buckets = read_bucket_list(sums->counts, json_member(duration, "counts"));
}

/* ---- what is between two of them ---- */

/* The duration below which this part of the requests has ended. */
static double percentile(const double *bounds, const double *counts, size_t buckets, double part)
{
    double all = 0, below = 0;

    for (size_t i = 0; i < buckets; i++)
        all += counts[i];
    for (size_t i = 0; all > 0 && i < buckets; i++) {
        double least = i > 0 ? bounds[i - 1] : 0, most = i + 1 < buckets ? bounds[i] : least;

        if (counts[i] > 0 && below + counts[i] >= part * all)
            return (least + (most - least) * (part * all - below) / counts[i]) / 1e6;
        below += counts[i];
    }
    return -1;
}

static void fill_durations(struct top_figures *f, const struct top_sums *before, const struct top_sums *now)
{
    double counts[TOP_BUCKETS];

    for (size_t i = 0; i < now->buckets; i++)
        counts[i] = now->counts[i] - (i < before->buckets ? before->counts[i] : 0);
    f->p50 = percentile(now->bounds, counts, now->buckets, 0.5);
    f->p95 = percentile(now->bounds, counts, now->buckets, 0.95);
    f->p99 = percentile(now->bounds, counts, now->buckets, 0.99);
}

/* Add what a worker has spent. One that had not answered before is left out. */
static void add_spent(struct top_figures *f, const struct top_sums *before, const struct top_worker *w, double passed)
{
    for (size_t i = 0; i < before->workers; i++)
        if (before->worker_list[i].pid == w->pid)
            for (size_t kind = 0; kind < f->kinds && kind < before->kinds; kind++) {
                double more = w->times[kind] - before->worker_list[i].times[kind];

                f->spent[kind] += more > 0 ? more / passed : 0;
            }
}

void top_figures_fill(struct top_figures *f, const struct top_sums *before, const struct top_sums *now)
{
    double passed = now->at - before->at;

    *f = (struct top_figures){.p50 = -1, .p95 = -1, .p99 = -1};
    if (before->at <= 0 || passed <= 0 || now->requests < before->requests) /* another server, or the first answer */
        return;
    f->has_rates = true;
    f->kinds = now->kinds;
    f->requests_per_s = (now->requests - before->requests) / passed;
    f->cpu = (now->cpu - before->cpu) / passed;
    memcpy(f->kind_names, now->kind_names, sizeof(f->kind_names));
    for (size_t i = 0; i < now->workers; i++)
        add_spent(f, before, &now->worker_list[i], passed);
    fill_durations(f, before, now);
}
