/*
 * statsd.c: send what was counted to a statsd server, every second, from the master.
 *
 * Datagrams never wait: what the kernel does not take at once is lost, as statsd allows. There are few of them whatever
 * the load, since a name has one value a second. A statsd server takes no histogram, so durations are timings with a
 * sample rate: each is the middle of a bucket, and stands for as many requests as were in it.
 *
 * What was sent last is kept in the table that a new binary takes over, so that it goes on where this one has stopped.
 */
#include "metrics/statsd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "log/log.h"
#include "metrics/metrics_totals.h"
#include "wait/reason.h"
#include "wait/wait.h"

#define SEND_EVERY  INT64_C(1000000000) /* nanoseconds */
#define PACKET_SIZE 1400                /* bytes: what fits into one frame */
#define MAX_PACKETS 64                  /* of one time */

static struct {
    int fd;                      /* -1: none */
    struct statsd_target target; /* of fd */
    int64_t due;                 /* CLOCK_MONOTONIC ns */
    bool failed;                 /* the log has said that there is no socket */
    char packet[PACKET_SIZE];
    size_t size; /* of packet */
    unsigned packets;
} statsd = {.fd = -1};

/* ---- packets ---- */

static void send_packet(void)
{
    if (statsd.size > 0 && statsd.packets++ < MAX_PACKETS) {
        ssize_t ignored = send(statsd.fd, statsd.packet, statsd.size, MSG_DONTWAIT | MSG_NOSIGNAL);

        (void)ignored; /* nobody may be there yet, or any more */
    }
    statsd.size = 0;
}

__attribute__((format(printf, 1, 2))) static void add_line(const char *fmt, ...)
{
    const char *prefix = statsd.target.prefix;
    char line[256];
    va_list ap;
    int size;

    va_start(ap, fmt);
    size = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (size < 0 || (size_t)size >= sizeof(line) || strlen(prefix) + (size_t)size + 1 > PACKET_SIZE)
        return;
    if (statsd.size + strlen(prefix) + (size_t)size + 1 > PACKET_SIZE)
        send_packet();
    statsd.size += (size_t)snprintf(statsd.packet + statsd.size, PACKET_SIZE - statsd.size, "%s%s%s",
                                    statsd.size ? "\n" : "", prefix, line);
}

/* ---- what is new ---- */

/* value - before, of a count that does not go back. */
static uint64_t new_of(uint64_t value, uint64_t before)
{
    return value > before ? value - before : 0;
}

static void add_counter(const char *name, uint64_t more)
{
    if (more)
        add_line("%s:%llu|c", name, (unsigned long long)more);
}

static void add_gauge(const char *name, uint64_t value)
{
    add_line("%s:%llu|g", name, (unsigned long long)value);
}

static uint64_t count_before(const struct metrics_totals *before, const struct metrics_row *row)
{
    for (size_t i = 0; i < before->row_count && i < METRICS_SERIES; i++)
        if (before->rows[i].mount == row->mount && before->rows[i].method == row->method &&
            before->rows[i].status == row->status)
            return before->rows[i].count;
    return 0;
}

static void add_statuses(const struct metrics_totals *now, const struct metrics_totals *before)
{
    uint64_t counts[1000] = {0};

    for (size_t i = 0; i < now->row_count; i++)
        counts[now->rows[i].status] += new_of(now->rows[i].count, count_before(before, &now->rows[i]));
    for (unsigned status = 0; status < ARRAY_SIZE(counts); status++)
        if (counts[status])
            add_line("request.status.%u:%llu|c", status, (unsigned long long)counts[status]);
}

static void add_durations(const struct metrics_totals *now, const struct metrics_totals *before)
{
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        uint64_t count = new_of(now->duration.counts[i], before->duration.counts[i]);
        double middle = (double)metrics_bound(i) * (i ? 0.75 : 0.5) / 1000;

        if (count == 1)
            add_line("request.duration:%.6g|ms", middle);
        else if (count)
            add_line("request.duration:%.6g|ms|@%.9g", middle, 1.0 / (double)count);
    }
}

static void add_wait_times(const struct metrics_totals *now, const struct metrics_totals *before)
{
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++) {
        uint64_t time = new_of(now->waited[kind].sum, before->waited[kind].sum);

        if (time)
            add_line("wait.%s.us:%llu|c", reason_kind_name(kind), (unsigned long long)time / 1000);
    }
}

static void add_all(const struct metrics_totals *now, const struct metrics_totals *before)
{
    add_counter("requests", new_of(now->requests, before->requests));
    add_statuses(now, before);
    add_durations(now, before);
    add_wait_times(now, before);
    add_counter("cpu.us", new_of(now->sums[SUM_PROCESS_CPU], before->sums[SUM_PROCESS_CPU]) / 1000);
    add_counter("bytes.in", new_of(now->bytes_in, before->bytes_in));
    add_counter("bytes.out", new_of(now->bytes_out, before->bytes_out));
    add_counter("preemptions", new_of(now->sums[EVENT_PREEMPTION], before->sums[EVENT_PREEMPTION]));
    add_counter("restarts", new_of(now->restarts, before->restarts));
    add_counter("reloads", new_of(now->reloads, before->reloads));
    add_gauge("workers", now->workers);
    add_gauge("requests.in_flight", now->in_flight);
    add_gauge("requests.queued", now->queued);
    add_gauge("connections", now->connections);
    add_gauge("memory.resident", now->resident);
}

/* Send the difference to what was sent last. The first time there is none: what was before is not new. */
static void send_news(void)
{
    struct metrics_totals *now = xmalloc(sizeof(*now)), *before = metrics_sent(sizeof(*before));
    bool first = before && before->taken == 0;

    metrics_totals_take(now);
    statsd.packets = 0;
    if (before && !first)
        add_all(now, before);
    send_packet();
    if (before)
        *before = *now;
    free(now);
}

/* ---- the socket ---- */

static bool is_same_target(const struct statsd_target *target)
{
    return target->size == statsd.target.size && !memcmp(&target->address, &statsd.target.address, target->size);
}

static void close_statsd(void)
{
    if (statsd.fd >= 0)
        close(statsd.fd);
    statsd.fd = -1;
    statsd.target = (struct statsd_target){.size = 0};
}

/* A Unix socket that is not there yet may come later: then the next call connects. */
static bool open_statsd(const struct statsd_target *target)
{
    if (statsd.fd >= 0 && is_same_target(target)) {
        statsd.target.prefix = target->prefix;
        return true;
    }
    close_statsd();
    statsd.fd = socket(target->address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (statsd.fd >= 0 && connect(statsd.fd, &target->address.any, target->size) == 0) {
        statsd.target = *target;
        statsd.failed = false;
        return true;
    }
    if (!statsd.failed)
        log_warn("statsd: cannot reach its address: %m; trying again every second");
    statsd.failed = true;
    close_statsd();
    return false;
}

int64_t statsd_step(const struct statsd_target *target, bool silent, int64_t now)
{
    if (!target->size) {
        struct metrics_totals *sent = statsd.fd >= 0 ? metrics_sent(sizeof(*sent)) : NULL;

        if (sent)
            sent->taken = 0;
        close_statsd();
        return WAIT_FOREVER;
    }
    if (now < statsd.due)
        return statsd.due;
    statsd.due = now + SEND_EVERY;
    if (!silent && open_statsd(target))
        send_news();
    return statsd.due;
}

void statsd_end(const struct statsd_target *target, bool silent)
{
    if (target->size && !silent && open_statsd(target))
        send_news();
    close_statsd();
}

void statsd_forget(void)
{
    if (statsd.fd >= 0)
        close(statsd.fd);
    statsd.fd = -1;
}
