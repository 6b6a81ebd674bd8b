/*
 * running.c: the requests that run in this process, written down.
 *
 * A request is found by its coroutine. It is on that coroutine's stack, and so is all that is known of it, so this only
 * reads; requests pay nothing for it. A request that has not begun, because it queues or its head has not come, is a
 * number only.
 */
#include "inside/running.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/admission.h"
#include "http/cancel.h"
#include "http/connection.h"
#include "http/session.h"
#include "inside/parked_stack.h"
#include "inside/standing.h"

static int worker_number;

void running_init(int worker)
{
    worker_number = worker;
}

/* ---- which ones ---- */

struct running {
    struct request *req;
    const struct coro *co;
};

static int compare_ages(const void *a, const void *b)
{
    const struct request *x = ((const struct running *)a)->req, *y = ((const struct running *)b)->req;

    return x->number < y->number ? -1 : x->number > y->number;
}

static bool is_asked_for(const struct question *q, const struct request *req, int64_t now)
{
    if (q->number)
        return q->pid == getpid() && q->number == req->number;
    return now - req->began >= q->older;
}

/* Returns how many there are; list becomes the caller's. */
static size_t running_find(const struct question *q, struct running **list)
{
    int64_t now = wait_now();
    struct list *node;
    size_t count = 0;

    *list = xmalloc((coro_count() + 1) * sizeof(**list));
    list_for_each (node, coro_all()) {
        const struct coro *co = list_entry(node, struct coro, all);
        struct request *req = session_request(co);

        if (req && is_asked_for(q, req, now))
            (*list)[count++] = (struct running){req, co};
    }
    qsort(*list, count, sizeof(**list), compare_ages);
    return count;
}

/* ---- JSON ---- */

static void add_string(struct text *out, const char *name, const char *value)
{
    text_printf(out, ",\"%s\":", name);
    text_add_json(out, value, strlen(value));
}

static void add_time(struct text *out, const char *name, int64_t nanoseconds)
{
    text_printf(out, ",\"%s\":%lld", name, (long long)(nanoseconds / 1000));
}

static void add_waits(struct text *out, const struct standing *s)
{
    const char *between = "";

    text_printf(out, ",\"waits\":{");
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++) {
        if (!s->waits[kind])
            continue;
        text_printf(out, "%s\"%s\":{\"calls\":%u", between, reason_kind_name(kind), s->waits[kind]);
        add_time(out, "us", s->waited[kind]);
        text_add(out, "}", 1);
        between = ",";
    }
    text_add(out, "}", 1);
}

static void add_peers(struct text *out, const struct reason_peers *peers)
{
    const char *between = "";

    text_printf(out, ",\"peers\":[");
    for (size_t i = 0; peers && i < peers->count; i++) {
        const struct reason_peer *peer = &peers->list[i];
        char of[REASON_TEXT_SIZE];

        if (!peer->calls)
            continue;
        reason_peer_text(peer, of, sizeof(of));
        text_printf(out, "%s{\"kind\":\"%s\"", between, reason_kind_name(peer->kind));
        add_string(out, "of", of);
        text_printf(out, ",\"calls\":%u", peer->calls);
        add_time(out, "us", peer->waited);
        text_add(out, "}", 1);
        between = ",";
    }
    text_add(out, "]", 1);
}

static void add_doing(struct text *out, const struct standing *s)
{
    static const char *const names[] = {[DOES_RUN] = "runs", [DOES_QUEUE] = "ready", [DOES_WAIT] = "waits"};

    text_printf(out, ",\"state\":\"%s\"", names[s->doing]);
    add_time(out, "state_us", s->since);
    if (s->doing != DOES_WAIT)
        return;
    text_printf(out, ",\"wait\":{\"kind\":\"%s\"", reason_kind_name(s->kind));
    add_string(out, "of", s->of);
    text_add(out, "}", 1);
}

static void add_stack(struct text *out, const struct coro *co)
{
    struct text stack = {0};
    const char *between = "";

    parked_stack_write(co, &stack, "\n");
    text_printf(out, ",\"stack\":[");
    for (size_t at = 0; at < stack.size;) {
        size_t begin = at + 1;

        for (at = begin; at < stack.size && stack.buf[at] != '\n'; at++)
            ;
        if (stack.buf[begin] != ' ') /* the line above them */
            continue;
        text_add(out, between, strlen(between));
        text_add_json(out, stack.buf + begin + 2, at - begin - 2);
        between = ",";
    }
    text_add(out, "]", 1);
    free(stack.buf);
}

static void running_write_json(const struct running *r, bool with_stack, struct text *out)
{
    const struct sl_request *view = &r->req->view;
    struct standing s;

    standing_take(&s, r->req, r->co);
    text_printf(out, "{\"id\":\"%d.%llu\"", (int)getpid(), (unsigned long long)r->req->number);
    add_string(out, "method", view->method);
    add_string(out, "target", view->target);
    add_string(out, "peer", view->peer);
    add_string(out, "mount", view->mount ? view->mount : "");
    add_time(out, "age_us", s.total);
    add_time(out, "queue_us", s.queued);
    add_time(out, "cpu_us", s.cpu);
    add_time(out, "ready_us", s.ready);
    add_time(out, "pool_us", s.pool);
    add_doing(out, &s);
    add_waits(out, &s);
    add_peers(out, s.peers);
    if (with_stack)
        add_stack(out, r->co);
    text_add(out, "}", 1);
}

/* ---- text ---- */

static void running_write_text(const struct running *r, bool with_stack, struct text *out)
{
    const struct sl_request *view = &r->req->view;
    struct standing s;

    standing_take(&s, r->req, r->co);
    text_printf(out, "%d.%llu  worker %d  %lld.%03lld s  ", (int)getpid(), (unsigned long long)r->req->number,
                worker_number, (long long)(s.total / 1000000000), (long long)(s.total / 1000000 % 1000));
    text_add_escaped(out, view->method, strlen(view->method));
    text_add(out, " ", 1);
    text_add_escaped(out, view->target, strlen(view->target));
    text_add(out, ": ", 2);
    standing_write_doing(&s, out);
    if (with_stack) {
        standing_write_lines(&s, out);
        parked_stack_write(r->co, out, "\n  ");
    }
    text_add(out, "\n", 1);
}

void running_write(const struct question *q, struct text *out)
{
    bool with_stack = q->what == ASK_TRACE;
    struct running *list;
    size_t count = running_find(q, &list);

    if (q->limit)
        count = (size_t)min_int64((int64_t)count, (int64_t)q->limit);
    for (size_t i = 0; i < count; i++) {
        if (!q->json) {
            running_write_text(&list[i], with_stack, out);
            continue;
        }
        if (i > 0)
            text_add(out, ",", 1);
        running_write_json(&list[i], with_stack, out);
    }
    free(list);
}

/* ---- counters ---- */

size_t running_count(void)
{
    struct list *node;
    size_t count = 0;

    list_for_each (node, coro_all()) {
        const struct coro *co = list_entry(node, struct coro, all);

        count += session_request(co) && !(co->parked && co->reason.kind == FOR_PLACE);
    }
    return count;
}

void running_write_counts(const struct question *q, struct text *out)
{
    struct coro_stats stats = coro_stats();
    size_t served = session_requests(), now = running_count(), queued = admission_queued();

    if (q->json)
        text_printf(out,
                    "\"requests\":%zu,\"in_flight\":%zu,\"queued\":%zu,\"connections\":%zu,\"coroutines\":%zu,"
                    "\"stacks\":%zu,\"waits\":%llu",
                    served, now, queued, http_connections(), stats.running, stats.stacks,
                    (unsigned long long)wait_count());
    else
        text_printf(out, "%zu requests, %zu run, %zu queue, %zu connections, %zu coroutines", served, now, queued,
                    http_connections(), stats.running);
}

/* ---- one request ---- */

/* Returns the running request of that number, or nothing. */
static struct running running_take(uint64_t number)
{
    struct question q = {.what = ASK_CANCEL, .pid = getpid(), .number = number};
    struct running *list, found = {NULL, NULL};

    if (running_find(&q, &list) > 0)
        found = list[0];
    free(list);
    return found;
}

bool running_cancel(uint64_t number)
{
    struct request *req = running_take(number).req;

    return req && cancel_by_operator(req);
}

bool running_debug(uint64_t number, int fd)
{
    const struct coro *co = running_take(number).co;

    return co && coro_debug(co, fd);
}
