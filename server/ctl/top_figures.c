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

static void read_waits(struct top_sums *sums, const struct json *waits)
{
    for (const struct json *kind = waits ? waits->first : NULL; kind && sums->kinds < TOP_KINDS; kind = kind->next) {
        if (kind->kind != JSON_NUMBER)
            continue;
        snprintf(sums->kind_names[sums->kinds], TOP_NAME, "%s", kind->name);
        sums->waits[sums->kinds++] = kind->number / 1e6;
    }
}

static size_t read_bucket_list(double *list, const struct json *array)
{
    size_t count = 0;

    for (const struct json *item = array ? array->first : NULL; item && count < TOP_BUCKETS; item = item->next)
        list[count++] = item->number;
    return count;
}

/* For a server that gives no totals. */
static double requests_of_workers(const struct json *status)
{
    const struct json *workers = json_member(status, "workers");
    double sum = 0;

    for (const struct json *w = workers ? workers->first : NULL; w; w = w->next)
        sum += json_number(w, "requests");
    return sum;
}

void top_sums_read(struct top_sums *sums, const struct json *status)
{
    const struct json *totals = json_member(status, "totals"), *duration = json_member(totals, "duration");

    *sums = (struct top_sums){.at = json_number(json_member(status, "master"), "uptime_us") / 1e6};
    sums->requests = totals ? json_number(totals, "requests") : requests_of_workers(status);
    sums->cpu = json_number(totals, "cpu_us") / 1e6;
    read_waits(sums, json_member(totals, "waits"));
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

static double wait_before(const struct top_sums *before, const char *name)
{
    for (size_t i = 0; i < before->kinds; i++)
        if (!strcmp(before->kind_names[i], name))
            return before->waits[i];
    return 0;
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
    for (size_t i = 0; i < now->kinds; i++) {
        memcpy(f->kind_names[i], now->kind_names[i], TOP_NAME);
        f->waiting[i] = (now->waits[i] - wait_before(before, now->kind_names[i])) / passed;
    }
    fill_durations(f, before, now);
}
