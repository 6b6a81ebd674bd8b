/*
 * metrics_now.c: what the requests of this worker do, and where their time goes.
 *
 * The sums of the slot grow when a request is over, all at once: a chart of them would show the minute that a request
 * has waited for a lock as a peak at its end. So here the time of those that run is added, at the same moment: the sums
 * of `time` grow as time passes, and what they grow by is where the last second went.
 */
#include "metrics/metrics_now.h"

#include "http/session.h"
#include "inside/standing.h"
#include "metrics/metrics_count.h"
#include "metrics/metrics_table.h"

struct present {
    size_t runs, ready, waits[WAIT_KINDS];                       /* how many requests do that */
    int64_t cpu_time, ready_time, pool_time, waited[WAIT_KINDS]; /* ns of all requests so far */
};

/* Their CPU time is what is left of their durations. */
static void add_ended(struct present *p, const struct metrics_slot *slot)
{
    int64_t ready = (int64_t)metrics_get(&slot->ready), pool = (int64_t)metrics_get(&slot->pool);

    p->cpu_time -= ready + pool;
    p->ready_time += ready;
    p->pool_time += pool;
    for (size_t i = 0; i < METRICS_MOUNTS; i++)
        p->cpu_time += (int64_t)metrics_get(&slot->durations[i].sum);
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++) {
        int64_t waited = (int64_t)metrics_get(&slot->waited[kind].sum);

        p->cpu_time -= waited;
        p->waited[kind] += waited;
    }
}

static void add_standing(struct present *p, const struct standing *s)
{
    p->cpu_time += s->cpu;
    p->ready_time += s->ready;
    p->pool_time += s->pool;
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++)
        p->waited[kind] += s->waited[kind];
    p->runs += s->doing == DOES_RUN;
    p->ready += s->doing == DOES_QUEUE;
    if (s->doing == DOES_WAIT)
        p->waits[s->kind]++;
}

static void look_at_requests(struct present *p)
{
    struct list *node;

    list_for_each (node, coro_all()) {
        const struct coro *co = list_entry(node, struct coro, all);
        const struct request *req = session_request(co);
        struct standing s;

        if (!req)
            continue;
        standing_take_times(&s, req, co);
        add_standing(p, &s);
    }
}

static void write_doing(const struct present *p, struct text *out)
{
    text_printf(out, ",\"doing\":{\"runs\":%zu,\"ready\":%zu", p->runs, p->ready);
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++)
        if (p->waits[kind])
            text_printf(out, ",\"%s\":%zu", reason_kind_name(kind), p->waits[kind]);
    text_add(out, "}", 1);
}

static void write_time(const struct present *p, struct text *out)
{
    text_printf(out, ",\"time\":{\"cpu\":%lld,\"ready\":%lld,\"pool\":%lld", (long long)p->cpu_time / 1000,
                (long long)p->ready_time / 1000, (long long)p->pool_time / 1000);
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++)
        text_printf(out, ",\"%s\":%lld", reason_kind_name(kind), (long long)p->waited[kind] / 1000);
    text_add(out, "}", 1);
}

void metrics_now_write(struct text *out)
{
    const struct metrics_slot *slot = metrics_own_slot();
    struct present present = {0};

    look_at_requests(&present);
    if (slot)
        add_ended(&present, slot);
    write_doing(&present, out);
    write_time(&present, out);
}
