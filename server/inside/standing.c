/*
 * standing.c: how a request stands: what it does now, and where its time has gone.
 *
 * The scheduler takes the times (coro/account.h), and the waits say what they are for (wait/reason.h). Here both are
 * put together with what is known of the request, at any moment of its life. Nothing is left over: the parts make up
 * the whole.
 */
#include "inside/standing.h"

#include <string.h>

#include "base/array.h"

enum part { PART_QUEUE, PART_CPU, PART_READY, PART_POOL, PART_WAIT, PART_KINDS };

static const char *const part_names[] = {"queue", "cpu", "ready", "pool", "wait"};

/* ---- taking it ---- */

/* What the coroutine does since it has left the OS thread is not in its account yet. */
static void add_present(struct standing *s, const struct coro *co, int64_t now)
{
    int64_t waited = (co->woken ? co->woken : now) - co->left;

    if (co == coro_self()) {
        s->doing = DOES_RUN;
        s->since = now - co->since;
        return;
    }
    if (co->away) { /* it computes upon a thread of the pool */
        s->doing = DOES_RUN;
        s->since = now - co->left;
        s->cpu += s->since;
        return;
    }
    s->doing = co->parked ? DOES_WAIT : DOES_QUEUE;
    if (co->left == 0) /* it was woken or has begun before anybody looked at the clock */
        return;
    if (!co->parked && !co->woken)
        waited = 0;
    s->since = now - (co->woken ? co->woken : co->left);
    s->waited[co->reason.kind] += waited;
    s->waits[co->reason.kind] += co->parked;
    s->ready += co->parked ? 0 : s->since;
}

void standing_take_times(struct standing *s, const struct request *req, const struct coro *co)
{
    int64_t now = wait_now();

    *s = (struct standing){.total = req->began ? now - req->began : 0, .queued = req->queued};
    if (!co)
        return;
    s->cpu = co->busy + (co == coro_self() ? now - co->since : 0) - req->busy;
    if (co->account) {
        s->ready = co->account->ready;
        s->pool = co->account->pool;
        memcpy(s->waited, co->account->waited, sizeof(s->waited));
        memcpy(s->waits, co->account->waits, sizeof(s->waits));
    }
    s->peers = co->peers;
    if (coro_clocked)
        add_present(s, co, now);
    s->kind = co->reason.kind;
}

void standing_take(struct standing *s, const struct request *req, const struct coro *co)
{
    standing_take_times(s, req, co);
    if (s->doing == DOES_WAIT)
        s->kind = reason_of_park(co, s->of, sizeof(s->of));
}

/* ---- its parts ---- */

int standing_part_by_name(const char *name, size_t size)
{
    enum wait_kind kind;

    for (size_t i = 0; i < ARRAY_SIZE(part_names); i++)
        if (strlen(part_names[i]) == size && !memcmp(part_names[i], name, size))
            return (int)i;
    if (size < 5 || memcmp(name, "wait.", 5))
        return -1;
    kind = reason_kind_by_name(name + 5, size - 5);
    return kind < WAIT_KINDS ? PART_KINDS + (int)kind : -1;
}

static int64_t all_waits(const struct standing *s)
{
    int64_t sum = 0;

    for (size_t i = 0; i < WAIT_KINDS; i++)
        sum += s->waited[i];
    return sum;
}

int64_t standing_part(const struct standing *s, int part)
{
    switch (part) {
    case PART_QUEUE:
        return s->queued;
    case PART_CPU:
        return s->cpu;
    case PART_READY:
        return s->ready;
    case PART_POOL:
        return s->pool;
    case PART_WAIT:
        return all_waits(s);
    default:
        return s->waited[part - PART_KINDS];
    }
}

/* ---- as text ---- */

static void write_milliseconds(struct text *out, int64_t nanoseconds)
{
    text_printf(out, "%lld.%lld ms", (long long)(nanoseconds / 1000000), (long long)(nanoseconds / 100000 % 10));
}

/* Write the parts that are not 0, or too small to be seen. */
static void write_parts(const struct standing *s, struct text *out)
{
    const char *between = "\n  time: ";

    for (int part = 0; part < PART_KINDS + WAIT_KINDS; part++) {
        int64_t time = standing_part(s, part);

        if (part == PART_WAIT || (time < 50000 && part != PART_CPU))
            continue;
        text_printf(out, "%s%s ", between,
                    part < PART_WAIT ? part_names[part] : reason_kind_name((enum wait_kind)(part - PART_KINDS)));
        write_milliseconds(out, time);
        between = ", ";
    }
}

static void write_peer(const struct reason_peer *peer, struct text *out)
{
    char of[REASON_TEXT_SIZE];

    if (peer->calls == 0)
        return;
    reason_peer_text(peer, of, sizeof(of));
    text_printf(out, "\n  %s ", peer->size ? reason_kind_name(peer->kind) : "socket or dns");
    if (*of)
        text_add_escaped(out, of, strlen(of));
    text_printf(out, "%s: %u call%s ", *of ? "" : "of others", peer->calls, peer->calls == 1 ? "" : "s");
    write_milliseconds(out, peer->waited);
}

void standing_write_lines(const struct standing *s, struct text *out)
{
    write_parts(s, out);
    for (size_t i = 0; s->peers && i < s->peers->count; i++)
        write_peer(&s->peers->list[i], out);
}

void standing_write_doing(const struct standing *s, struct text *out)
{
    static const char *const words[] = {[DOES_RUN] = "runs", [DOES_QUEUE] = "ready to run", [DOES_WAIT] = "waits"};

    text_printf(out, "%s", words[s->doing]);
    if (s->since) {
        text_printf(out, " ");
        write_milliseconds(out, s->since);
    }
    if (s->doing != DOES_WAIT)
        return;
    text_printf(out, " for %s%s", reason_kind_name(s->kind), *s->of ? " " : "");
    if (*s->of)
        text_add_escaped(out, s->of, strlen(s->of)); /* a client may have given the host name */
}
