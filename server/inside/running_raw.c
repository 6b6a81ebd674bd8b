/*
 * running_raw.c: the running requests, written down while the event loop is blocked.
 *
 * Only what a signal handler may do is done here: no memory is taken, nothing is formatted by libc. So there are no
 * peers, and no stacks but that of the request which blocks the loop (worker/stack_report.c).
 */
#include "inside/running_raw.h"

#include <string.h>

#include "base/digits.h"
#include "http/session.h"
#include "wait/reason.h"
#include "wait/wait.h"

#define MAX_REQUESTS 10000 /* a list that was half changed may have no end */

struct raw_writer {
    char *at, *end;
    const struct coro *running;
};

static void raw_add(struct raw_writer *w, const char *text, char after)
{
    while (*text && w->at < w->end)
        *w->at++ = *text++;
    if (w->at < w->end)
        *w->at++ = after;
}

static void raw_add_number(struct raw_writer *w, uint64_t number)
{
    char digits[DIGITS_MAX + 1] = "";

    raw_add(w, digits_decimal(digits + DIGITS_MAX, number), ' ');
}

/* Returns whether all of it fits. */
static bool raw_add_request(struct raw_writer *w, const struct coro *co, const struct request *req, int64_t now)
{
    bool waits = co != w->running && co->parked;

    raw_add_number(w, req->number);
    raw_add_number(w, req->began ? (uint64_t)(now - req->began) / 1000 : 0);
    raw_add(w, co == w->running ? "runs" : waits ? "waits" : "ready", ' ');
    raw_add(w, waits ? reason_kind_name(co->reason.kind) : "-", ' ');
    raw_add(w, req->view.method, ' ');
    raw_add(w, req->view.target, '\n');
    return w->at < w->end;
}

void running_write_raw(char *text, size_t size, const struct coro *running)
{
    struct raw_writer w = {text, text + size - 1, running};
    int64_t now = wait_now();
    struct list *node;
    unsigned count = 0;

    list_for_each (node, coro_all()) {
        const struct coro *co = list_entry(node, struct coro, all);
        const struct request *req = session_request(co);
        char *before = w.at;

        if (++count > MAX_REQUESTS)
            break;
        if (req && !raw_add_request(&w, co, req, now)) {
            w.at = before;
            break;
        }
    }
    *w.at = '\0';
}
