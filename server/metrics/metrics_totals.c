/*
 * metrics_totals.c: what all workers have counted, added up.
 *
 * Workers write while this reads. Each count is read once, and what is a sum of counts (requests, say) is made of these
 * and not counted for itself, so that a document agrees with itself. What is not a number that a worker can have
 * written by itself, such as a status of 5 digits, is left out.
 */
#include "metrics/metrics_totals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "wait/reason.h"
#include "wait/wait.h"

/* ---- adding up ---- */

static void add_times(struct metrics_times *to, const struct metrics_histogram *from)
{
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        uint64_t count = metrics_get(&from->counts[i]);

        to->counts[i] += count;
        to->count += count;
    }
    to->sum += metrics_get(&from->sum);
}

static void add_up_times(struct metrics_times *to, const struct metrics_times *from)
{
    for (unsigned i = 0; i < METRICS_BUCKETS; i++)
        to->counts[i] += from->counts[i];
    to->count += from->count;
    to->sum += from->sum;
}

static void add_row(struct metrics_totals *totals, const struct metrics_row *row)
{
    for (size_t i = 0; i < totals->row_count; i++) {
        struct metrics_row *at = &totals->rows[i];

        if (at->mount == row->mount && at->method == row->method && at->status == row->status) {
            at->count += row->count;
            return;
        }
    }
    if (totals->row_count < METRICS_SERIES)
        totals->rows[totals->row_count++] = *row;
    else
        totals->lost += row->count;
}

static void add_series(struct metrics_totals *totals, const struct metrics_series *series)
{
    uint32_t key = __atomic_load_n(&series->key, __ATOMIC_RELAXED);
    struct metrics_row row = {key >> 16 & 0x7fff, (enum metrics_method)(key >> 12 & 0xf), (int)(key & 0xfff),
                              metrics_get(&series->count)};

    if (!row.count || row.mount >= METRICS_MOUNTS || row.method >= METRICS_METHODS || row.status > 999)
        return;
    totals->requests += row.count;
    totals->responses[row.status >= 100 && row.status < 600 ? row.status / 100 : 0] += row.count;
    add_row(totals, &row);
}

static void add_gauges(struct metrics_totals *totals, const struct metrics_gauges *gauges)
{
    totals->in_flight += metrics_get(&gauges->in_flight);
    totals->queued += metrics_get(&gauges->queued);
    totals->connections += metrics_get(&gauges->connections);
    totals->coroutines += metrics_get(&gauges->coroutines);
    totals->stacks += metrics_get(&gauges->stacks);
    totals->resident += metrics_get(&gauges->resident);
}

static void add_counters(struct metrics_totals *totals, const struct metrics_slot *slot)
{
    totals->bytes_in += metrics_get(&slot->bytes_in);
    totals->bytes_out += metrics_get(&slot->bytes_out);
    totals->queue_time += metrics_get(&slot->queued);
    totals->ready += metrics_get(&slot->ready);
    totals->pool += metrics_get(&slot->pool);
    for (unsigned i = 0; i < METRICS_SUMS; i++)
        totals->sums[i] += metrics_get(&slot->sums[i]);
    totals->lost += metrics_get(&slot->lost);
}

static void add_slot(struct metrics_totals *totals, const struct metrics_slot *slot)
{
    totals->workers += slot->pid > 0;
    add_gauges(totals, &slot->gauges);
    add_counters(totals, slot);
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++) {
        totals->calls[kind] += metrics_get(&slot->calls[kind]);
        add_times(&totals->waited[kind], &slot->waited[kind]);
    }
    for (unsigned i = 0; i < METRICS_MOUNTS; i++)
        add_times(&totals->durations[i], &slot->durations[i]);
    for (unsigned i = 0; i < METRICS_SERIES; i++)
        add_series(totals, &slot->series[i]);
}

/* A request waits, or is ready, or is in the pool, or runs. */
static void find_cpu_time(struct metrics_totals *totals)
{
    uint64_t others = totals->ready + totals->pool;

    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++)
        others += totals->waited[kind].sum;
    totals->cpu = totals->duration.sum > others ? totals->duration.sum - others : 0;
}

/* A master frees the slots of its workers. That of an upgrade may have been killed before it could. */
static void free_if_gone(const struct metrics_slot *slot)
{
    pid_t pid = slot->pid;

    if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH)
        metrics_vacate(pid);
}

void metrics_totals_take(struct metrics_totals *totals)
{
    const struct metrics_master *master = metrics_of_master();
    const struct metrics_slot *slot;
    unsigned at = 0;

    *totals = (struct metrics_totals){.taken = wait_now()};
    while ((slot = metrics_slot_next(&at))) {
        free_if_gone(slot);
        add_slot(totals, slot);
    }
    for (unsigned i = 0; i < METRICS_MOUNTS; i++)
        add_up_times(&totals->duration, &totals->durations[i]);
    find_cpu_time(totals);
    totals->requests += totals->lost;
    if (!master)
        return;
    totals->restarts = metrics_get(&master->restarts);
    totals->reloads = metrics_get(&master->reloads);
    totals->failed_reloads = metrics_get(&master->failed_reloads);
}

/* ---- JSON ---- */

static void add_number(struct text *out, const char *name, uint64_t number)
{
    text_printf(out, "\"%s\":%llu,", name, (unsigned long long)number);
}

static void add_microseconds(struct text *out, const char *name, uint64_t nanoseconds)
{
    add_number(out, name, nanoseconds / 1000);
}

static void add_responses(struct text *out, const struct metrics_totals *totals)
{
    text_printf(out, "\"responses\":{");
    for (int i = 1; i < 6; i++)
        text_printf(out, "\"%dxx\":%llu,", i, (unsigned long long)totals->responses[i]);
    text_printf(out, "\"other\":%llu},", (unsigned long long)totals->responses[0]);
}

static void add_duration(struct text *out, const struct metrics_times *times)
{
    text_printf(out, "\"duration\":{\"bounds_us\":[");
    for (unsigned i = 0; i < METRICS_BUCKETS - 1; i++)
        text_printf(out, "%s%lld", i ? "," : "", (long long)metrics_bound(i));
    text_printf(out, "],\"counts\":[");
    for (unsigned i = 0; i < METRICS_BUCKETS; i++)
        text_printf(out, "%s%llu", i ? "," : "", (unsigned long long)times->counts[i]);
    text_printf(out, "],\"sum_us\":%llu},", (unsigned long long)times->sum / 1000);
}

static void add_waited(struct text *out, const struct metrics_totals *totals)
{
    text_printf(out, "\"waits\":{");
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++)
        text_printf(out, "%s\"%s\":{\"calls\":%llu,\"us\":%llu}", kind ? "," : "", reason_kind_name(kind),
                    (unsigned long long)totals->calls[kind], (unsigned long long)totals->waited[kind].sum / 1000);
    text_printf(out, "}");
}

void metrics_totals_write(const struct metrics_totals *totals, struct text *out)
{
    add_number(out, "requests", totals->requests);
    add_responses(out, totals);
    add_number(out, "bytes_in", totals->bytes_in);
    add_number(out, "bytes_out", totals->bytes_out);
    add_duration(out, &totals->duration);
    add_microseconds(out, "queue_us", totals->queue_time);
    add_microseconds(out, "cpu_us", totals->cpu);
    add_microseconds(out, "ready_us", totals->ready);
    add_microseconds(out, "pool_us", totals->pool);
    add_microseconds(out, "process_cpu_us", totals->sums[SUM_PROCESS_CPU]);
    add_number(out, "restarts", totals->restarts);
    add_number(out, "reloads", totals->reloads);
    add_waited(out, totals);
}
