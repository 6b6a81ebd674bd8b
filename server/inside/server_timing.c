/*
 * server_timing.c: tell clients where the time of their requests went.
 *
 * Browsers show the field Server-Timing beside their own times. It is in the head, so it tells what was before that.
 */
#include "inside/server_timing.h"

#include "http/response/response.h"
#include "inside/standing.h"

static void add_part(struct text *value, const char *name, int64_t nanoseconds)
{
    text_printf(value, "%s%s;dur=%lld.%02lld", value->size ? ", " : "", name, (long long)(nanoseconds / 1000000),
                (long long)(nanoseconds / 10000 % 100));
}

static void add_field(struct request *req)
{
    static struct text value; /* reused */
    struct standing s;

    standing_take(&s, req, coro_self());
    value.size = 0;
    add_part(&value, "total", s.total);
    add_part(&value, "queue", s.queued);
    add_part(&value, "cpu", s.cpu);
    if (s.ready)
        add_part(&value, "ready", s.ready);
    if (s.pool)
        add_part(&value, "pool", s.pool);
    for (enum wait_kind kind = 0; kind < WAIT_KINDS; kind++)
        if (s.waits[kind])
            add_part(&value, reason_kind_name(kind), s.waited[kind]);
    response_header(req, "Server-Timing", 13, value.buf, value.size);
}

void server_timing_init(void)
{
    response_before_head = add_field;
}
