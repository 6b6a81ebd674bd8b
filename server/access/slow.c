/*
 * slow.c: the slow log: requests that take long, where they are, and where their time has gone.
 *
 * A request has an entry at the moment it becomes slow, with its stack, and one when it is over. The first tells what
 * it waits for, even if that never comes; the second what all of it took. Between requests the cost is a timeout in a
 * list (wait/timeout.c), which takes no system call.
 */
#include <stdbool.h>
#include <string.h>
#include <syslog.h>

#include "access/access.h"
#include "access/slow.h"
#include "inside/parked_stack.h"
#include "inside/standing.h"

static struct {
    const struct access_rule *rule; /* borrowed; NULL: off */
    struct wait_timeouts timeouts;
    struct text entry; /* reused */
} slow;

/* Begin an entry: "GET /report WHAT 1.000 s". */
static void slow_write(const struct request *req, const struct standing *s, const char *what)
{
    struct text *out = &slow.entry;
    char head[LOG_HEAD];

    text_add(out, head, log_head(head, LOG_LEVEL_WARN));
    text_add_escaped(out, req->view.method, strlen(req->view.method));
    text_add(out, " ", 1);
    text_add_escaped(out, req->view.target, strlen(req->view.target));
    text_printf(out, " %s %lld.%03lld s", what, (long long)(s->total / 1000000000),
                (long long)(s->total / 1000000 % 1000));
}

static void slow_send(void)
{
    text_add(&slow.entry, "\n", 1);
    sink_write(access_sink(slow.rule->log), LOG_WARNING, slow.entry.buf, slow.entry.size, true);
    slow.entry.size = 0;
}

static void on_slow(struct wait_timeout *timeout)
{
    struct request *req = list_entry(timeout, struct request, slow);
    struct standing s;

    if (req->upgrade) /* a connection of another protocol may last */
        return;
    req->is_slow = true;
    standing_take(&s, req, req->coro);
    slow_write(req, &s, "is slow, after");
    text_add(&slow.entry, ": ", 2);
    standing_write_doing(&s, &slow.entry);
    standing_write_lines(&s, &slow.entry);
    parked_stack_write(req->coro, &slow.entry, "\n  ");
    slow_send();
}

void slow_init(const struct access_rule *rule, int64_t milliseconds)
{
    slow.rule = rule;
    wait_timeouts_init(&slow.timeouts, milliseconds, on_slow);
}

bool slow_is_on(void)
{
    return slow.rule != NULL;
}

void slow_begin(struct request *req)
{
    list_init(&req->slow.link);
    req->coro = coro_self();
    wait_timeout_start(&slow.timeouts, &req->slow);
}

void slow_end(const struct request *req)
{
    struct standing s;

    if (!req->slow.link.next) /* it was refused before it began */
        return;
    wait_timeout_stop(&((struct request *)req)->slow);
    if (!req->is_slow)
        return;
    standing_take(&s, req, coro_self());
    slow_write(req, &s, "was slow, it took");
    text_printf(&slow.entry, ": status %d", req->status);
    standing_write_lines(&s, &slow.entry);
    slow_send();
}
